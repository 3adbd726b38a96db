"""`gateway` with one cipher or the other, and any wireguard-go."""

from bed import TUNNEL_MTU
from lab.gateway import GATEWAY, Gateway, write_config
from lab.wireguard_go import WireGuardGo

from .tunnel import Running


def gateway(cipher):
    """Starts gateways that seal data with `cipher`, and fails later if they did not.

    ChaCha20-Poly1305 is the default: that config says nothing, and the tunnel is plain WireGuard.
    """
    peer = ["#: Cipher = auto"] if cipher == "aes256gcm" else []

    def start(bed, stack):
        ends = [
            stack.enter_context(Gateway(bed, end, write_config(bed, end, interface=[f"MTU = {TUNNEL_MTU}"], peer=peer)))
            for end in bed.ends]

        def check():
            for end in ends:
                found = end.peer()["cipher"]
                assert found == cipher, f"{end.name} seals with {found}, not {cipher}"

        return Running(ends, check)

    return start


def compressing(setting):
    """Starts gateways with `Compression = setting`."""
    def start(bed, stack):
        return Running([stack.enter_context(Gateway(bed, end, write_config(
            bed, end, interface=[f"MTU = {TUNNEL_MTU}"], compression=setting))) for end in bed.ends])

    return start


def wireguard_go(program):
    def start(bed, stack):
        return Running([stack.enter_context(_WireGuardGo(program, bed, end)) for end in bed.ends])

    return start


class _WireGuardGo(WireGuardGo):
    def __init__(self, program, bed, end):
        super().__init__(bed, end)
        self.argv = [program, *self.argv[1:]]
