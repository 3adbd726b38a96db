import Addresses

@testable import TunnelCore

extension MACAddress {
    static let everybody = MACAddress(0xffff_ffff_ffff)
}

/// The Ethernet address of a host at a site: 02:00:00:`site`:`number`, the number in two bytes.
func host(_ site: UInt8, _ number: UInt16 = 1) -> MACAddress {
    MACAddress(0x0200_0000_0000 | UInt64(site) << 16 | UInt64(number))
}

/// An Ethernet frame, of a type for experiments (IEEE 802 §9.2) unless it is said, behind VLAN tags with these numbers.
func ethernet(
    _ source: MACAddress, _ destination: MACAddress, _ content: [UInt8], type: UInt16 = 0x88b5, tags: [UInt16] = []
) -> [UInt8] {
    let addresses = Array(big(destination.bits)[2...] + big(source.bits)[2...])
    return addresses + tags.flatMap { big($0) + [0, 7] } + big(type) + content
}

/// A frame with an IP packet inside.
func ethernet(_ source: MACAddress, _ destination: MACAddress, ip packet: [UInt8], tags: [UInt16] = []) -> [UInt8] {
    let type: UInt16 = packet.first.map { $0 >> 4 } == 6 ? 0x86dd : 0x0800
    return ethernet(source, destination, packet, type: type, tags: tags)
}

// Records as docs/protocol.md §3.8 has them, made by hand.

func ethernetRecord(_ frame: [UInt8], parameter: UInt8 = 0) -> [UInt8] { record(0x16, parameter, frame) }

/// Frames one behind the other, each behind its length.
func frameList(_ frames: [[UInt8]]) -> [UInt8] {
    frames.flatMap { little(UInt16(truncatingIfNeeded: $0.count)) + $0 }
}

/// A frame that stands for several, as it stands among them.
func segmentedFrame(_ frame: [UInt8], segment: UInt16 = 1000, length: Int? = nil) -> [UInt8] {
    little(0 as UInt16) + little(segment) + little(UInt16(truncatingIfNeeded: length ?? frame.count)) + frame
}

func framesBundle(_ frames: [[UInt8]], parameter: UInt8 = 1) -> [UInt8] { record(0x12, parameter, frameList(frames)) }

/// A UNIT of deflate and layout 2.
func framesUnit(_ frames: [[UInt8]]) -> [UInt8] { unitRecord(frameList(frames), parameter: 0x21) }
