import Addresses
import Testing

@testable import TestKit
@testable import TunnelCore

@Suite struct SegmentModelTests {
    @Test func theNaiveChecksumGivesTheExampleOfRFC1071() {
        #expect(naiveSum([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]) == 0xddf2)
    }

    @Test(arguments: 0...130)
    func theChecksumOfTheCoreIsTheNaiveOneForEveryLength(count: Int) {
        var noise = Noise(seed: UInt64(count))
        for _ in 0..<20 {
            let bytes = noise.bytes(count)
            var sum = Checksum()
            unsafe sum.add(bytes.span.bytes)
            #expect(UInt16(bigEndian: sum.folded) == naiveSum(bytes))
        }
        var sum = Checksum()
        let ones = [UInt8](repeating: 0xff, count: 65_535 - count)
        unsafe sum.add(ones.span.bytes)
        #expect(UInt16(bigEndian: sum.folded) == naiveSum(ones))
    }

    @Test func packetsOfTheModelHaveRightChecksums() {
        for isV6 in [false, true] {
            for isTCP in [false, true] {
                let packet = Segment(isV6: isV6, isTCP: isTCP, payload: Array(1...33)).bytes
                #expect(hasRightChecksums(packet))
                for index in packet.indices where index != 0 && !(isV6 && index < 8) {
                    var wrong = packet
                    wrong[index] ^= 0x10
                    let isLength = !isV6 && (2...3).contains(index) || !isTCP && isV6 && index == 44
                    #expect(isLength || !hasRightChecksums(wrong), "byte \(index)")
                }
            }
        }
    }
}
