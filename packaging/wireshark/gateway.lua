-- What travels inside WireGuard's transport messages between two gateways (docs/protocol.md), for Wireshark and tshark:
--
--     gatewayctl capture --payloads records.pcapng
--     tshark -X lua_script:gateway.lua -r records.pcapng
--
-- It also looks into the messages that Wireshark has opened with the keys of wg.keylog_file.

local gateway = Proto("gateway", "Gateway record")

local kinds = {
    [0x10] = "HELLO", [0x11] = "UNIT", [0x12] = "BUNDLE", [0x13] = "FRAGMENT", [0x14] = "REPORT", [0x15] = "PING",
    [0x16] = "ETHERNET", [0x17] = "CONFIRM", [0x18] = "RECEIPT", [0x19] = "GONE", [0x1a] = "PARITY", [0x1b] = "PACK",
    [0x1c] = "ROTATE",
}
local codecs = { [1] = "deflate", [2] = "zstd" }
local layouts = { [0] = "one IP packet", [1] = "members", [2] = "Ethernet frames" }
local options = {
    [1] = "CODECS", [2] = "MAXIMUM UNIT", [3] = "AES-256-GCM", [4] = "RECORDS", [5] = "DOWN RATE", [6] = "REPORTS",
}

local f = {
    kind = ProtoField.uint8("gateway.type", "Type", base.HEX, kinds),
    parameter = ProtoField.uint8("gateway.parameter", "Parameter", base.HEX),
    length = ProtoField.uint16("gateway.length", "Length of the body"),
    padding = ProtoField.bytes("gateway.padding", "Padding"),
    body = ProtoField.bytes("gateway.body", "Body"),
    version = ProtoField.uint8("gateway.hello.version", "Version"),
    seen = ProtoField.bool("gateway.hello.seen", "Seen", 8, nil, 0x01),
    asks = ProtoField.bool("gateway.hello.asks", "Asks", 8, nil, 0x02),
    option = ProtoField.uint8("gateway.hello.option", "Option", base.DEC, options),
    value = ProtoField.bytes("gateway.hello.value", "Value"),
    maximum = ProtoField.uint32("gateway.hello.maximum_unit", "Largest unit"),
    index = ProtoField.uint32("gateway.hello.index", "Receiver index of the second lane", base.HEX),
    rate = ProtoField.uint32("gateway.hello.down_rate", "Down rate, kbit/s"),
    codec = ProtoField.uint8("gateway.unit.codec", "Codec", base.DEC, codecs, 0x0f),
    layout = ProtoField.uint8("gateway.unit.layout", "Layout", base.DEC, layouts, 0xf0),
    decoded = ProtoField.uint16("gateway.unit.decoded", "Decoded size"),
    coded = ProtoField.bytes("gateway.unit.coded", "Coded bytes"),
    number = ProtoField.uint16("gateway.fragment.number", "Number of the unit"),
    size = ProtoField.uint16("gateway.fragment.size", "Size of the whole record"),
    place = ProtoField.uint8("gateway.fragment.index", "Index of this piece"),
    count = ProtoField.uint8("gateway.fragment.count", "Pieces"),
    highest = ProtoField.uint64("gateway.report.highest", "Highest counter"),
    bitmap = ProtoField.uint64("gateway.report.bitmap", "Which of the last 64 arrived", base.HEX),
    datagrams = ProtoField.uint64("gateway.report.datagrams", "Datagrams"),
    bytes = ProtoField.uint64("gateway.report.bytes", "Bytes"),
    clock = ProtoField.uint64("gateway.report.clock", "Clock, microseconds"),
    token = ProtoField.uint64("gateway.ping.token", "Token", base.HEX),
    digest = ProtoField.uint32("gateway.confirm.digest", "Digest of the HELLO", base.HEX),
}
gateway.fields = f

local ip, ip6, eth = Dissector.get("ip"), Dissector.get("ipv6"), Dissector.get("eth_withoutfcs")

local bodies = {}

bodies[0x10] = function(body, tree, parameter)
    tree:add_le(f.version, parameter)
    if body:len() < 1 then return end
    tree:add_le(f.seen, body(0, 1))
    tree:add_le(f.asks, body(0, 1))
    local at = 1
    while at + 2 <= body:len() do
        local kind, length = body(at, 1):uint(), body(at + 1, 1):uint()
        if at + 2 + length > body:len() then return end
        local option = tree:add_le(f.option, body(at, 1))
        local value = length > 0 and body(at + 2, length)
        if value and length == 4 and kind == 2 then
            option:add_le(f.maximum, value)
        elseif value and length == 4 and kind == 3 then
            option:add_le(f.index, value)
        elseif value and length == 4 and kind == 5 then
            option:add_le(f.rate, value)
        elseif value then
            option:add(f.value, value)
        end
        at = at + 2 + length
    end
end

bodies[0x11] = function(body, tree, parameter)
    tree:add(f.codec, parameter)
    tree:add(f.layout, parameter)
    if body:len() < 3 then return end
    tree:add_le(f.decoded, body(0, 2))
    tree:add(f.coded, body(2))
end

bodies[0x13] = function(body, tree)
    if body:len() < 6 then return end
    tree:add_le(f.number, body(0, 2))
    tree:add_le(f.size, body(2, 2))
    tree:add(f.place, body(4, 1))
    tree:add(f.count, body(5, 1))
end

bodies[0x14] = function(body, tree)
    if body:len() < 40 then return end
    for place, field in ipairs({ f.highest, f.bitmap, f.datagrams, f.bytes, f.clock }) do
        tree:add_le(field, body(8 * (place - 1), 8))
    end
end

bodies[0x15] = function(body, tree)
    if body:len() >= 8 then tree:add_le(f.token, body(0, 8)) end
end

bodies[0x16] = function(body, _, _, pinfo, root)
    if body:len() > 0 then eth:call(body:tvb(), pinfo, root) end
end

bodies[0x17] = function(body, tree)
    if body:len() >= 4 then tree:add_le(f.digest, body(0, 4)) end
end

-- One record; how many bytes it has, padding and all, or 0 if it is none.
local function record(payload, pinfo, root)
    if payload:len() < 4 or not kinds[payload(0, 1):uint()] then return 0 end
    local kind, length = payload(0, 1):uint(), payload(2, 2):le_uint()
    if 4 + length > payload:len() then return 0 end
    local tree = root:add(gateway, payload(), "Gateway record " .. kinds[kind])
    tree:add(f.kind, payload(0, 1))
    tree:add(f.parameter, payload(1, 1))
    tree:add_le(f.length, payload(2, 2))
    if length > 0 then
        local body = payload(4, length)
        local read = bodies[kind]
        if read then read(body, tree, payload(1, 1), pinfo, root) else tree:add(f.body, body) end
    end
    if 4 + length < payload:len() then tree:add(f.padding, payload(4 + length)) end
    pinfo.cols.protocol = "GATEWAY"
    pinfo.cols.info = kinds[kind] .. ", " .. length .. " bytes"
    return payload:len()
end

function gateway.dissector(payload, pinfo, root)
    if payload:len() == 0 then return 0 end
    local version = math.floor(payload(0, 1):uint() / 16)
    if version == 4 then return ip:call(payload, pinfo, root) end
    if version == 6 then return ip6:call(payload, pinfo, root) end
    return record(payload, pinfo, root)
end

-- Payloads that gatewayctl captured.
DissectorTable.get("wtap_encap"):add(wtap.USER0, gateway)

-- Payloads that Wireshark opened.
pcall(function()
    gateway:register_heuristic("wg", function(payload, pinfo, root) return record(payload, pinfo, root) > 0 end)
end)
