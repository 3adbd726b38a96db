"""The shape of the statistics: the literal of the contract, and a check against it."""

import json

CONTRACT = json.loads("""
{"interface":"branch","publicKey":"…","listenPort":51820,
 "peers":[{"publicKey":"…","name":"…","endpoint":"…","allowedIPs":["…"],"latestHandshake":1764000000,
   "rxBytes":0,"txBytes":0,"cipher":"aes256gcm","rttMicroseconds":0,"lossPermille":0,
   "compression":{"configured":"auto","active":true,
     "tx":{"plainBytes":0,"wireBytes":0,"ratio":1.0},"rx":{"plainBytes":0,"wireBytes":0,"ratio":1.0},
     "codecs":{"deflate":{"units":0,"plainBytes":0,"wireBytes":0}},
     "skipped":{"encrypted":0,"exposed":0,"small":0,"backoff":0,"busy":0}},
   "drops":{"replay":0,"allowedIPs":0,"malformed":0}}],
 "drops":{"noPeer":0,"unknownIndex":0,"mac1":0}}
""")


def mismatches(value, shape=CONTRACT, path="stats"):
    """Where `value` lacks what `shape` has, or has it with another type; more than it asks for is fine."""
    if path.endswith(".codecs"):
        # Named by codec: each entry has the shape of the one that the contract shows.
        return [m for name, codec in value.items() for m in mismatches(codec, shape["deflate"], f"{path}.{name}")]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{path} is {value!r}, not an object"]
        missing = [f"{path}.{key} is missing" for key in shape if key not in value]
        return missing + [m for key in shape if key in value for m in mismatches(value[key], shape[key], f"{path}.{key}")]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path} is {value!r}, not a list"]
        return [m for n, item in enumerate(value) for m in mismatches(item, shape[0], f"{path}[{n}]")]
    kind = (int, float) if isinstance(shape, float) else type(shape)
    right = isinstance(value, kind) and isinstance(value, bool) == isinstance(shape, bool)
    return [] if right else [f"{path} is {value!r}, not like {shape!r}"]
