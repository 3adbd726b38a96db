import Glibc
import Testing

@testable import LinuxIO

@Suite struct WatchTests {
    @Test("a link that goes up, gets another MTU and is deleted is told of, and other links are not")
    func link() {
        inOwnNamespace { findings in
            let device = try TunDevice(name: "watched", kind: .tun)
            let other = try TunDevice(name: "other", kind: .tun)
            var watch = try DeviceWatch(device)
            findings.expect(!watch.state.isUp && watch.state.index == device.index, "it starts down")
            var netlink = try Netlink()
            try netlink.setUp(other.index)
            findings.expect(watch.read() == nil, "another link is no news")
            try netlink.setMTU(1300, of: device.index)
            try netlink.setUp(device.index)
            guard case .device(let state, let hasBeenDown)? = watch.read() else {
                return findings.expect(false, "no news")
            }
            findings.expect(hasBeenDown, "it was down when its MTU changed")
            findings.expect(state, is: DeviceState(index: device.index, mtu: 1300, isUp: true), "the state")
            findings.expect(try device.deviceState(&netlink), is: state, "the state when asked for")
            try netlink.deleteDevice(device.index)
            guard case .gone? = watch.read() else { return findings.expect(false, "not gone") }
        }
    }

    @Test("a link that was down for a moment is up, and was down")
    func moment() {
        inOwnNamespace { findings in
            let device = try TunDevice(name: "moment", kind: .tun)
            var netlink = try Netlink()
            try netlink.setUp(device.index)
            var watch = try DeviceWatch(device)
            for isMoment in [true, false] {
                if isMoment { try netlink.setDown(device.index) }
                try netlink.setUp(device.index)
                try netlink.setMTU(isMoment ? 1400 : 1410, of: device.index)
                guard case .device(let state, let hasBeenDown)? = watch.read() else {
                    return findings.expect(false, "no news")
                }
                findings.expect(state.isUp, "it is down")
                findings.expect(hasBeenDown, is: isMoment, "was it down?")
            }
        }
    }

    @Test("a file that is unlinked, moved or replaced is gone, and one whose mode changes is not")
    func file() throws {
        let path = "/tmp/gateway-watch-\(getpid())"
        for change in ["unlink", "rename", "replace"] {
            close(unsafe open(path, O_CREAT | O_WRONLY, 0o600))
            // As a socket that is still open: unlinked, but not deleted.
            let holder = unsafe open(path, O_RDONLY)
            let watch = try FileWatch(path: path)
            let isGoneAtFirst = watch.isGone()
            unsafe chmod(path, 0o640)
            let isGoneByMode = watch.isGone()
            #expect(!isGoneAtFirst && !isGoneByMode)
            switch change {
            case "unlink": unsafe unlink(path)
            case "rename": unsafe rename(path, path + "x")
            default:
                unsafe unlink(path)
                close(unsafe open(path, O_CREAT | O_WRONLY, 0o600))
            }
            let isGone = watch.isGone()
            #expect(isGone)
            close(holder)
            unsafe unlink(path)
            unsafe unlink(path + "x")
        }
    }
}
