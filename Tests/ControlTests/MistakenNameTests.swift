import Control
import Testing

@Suite struct MistakenNameTests {
    @Test("a sensible name is none that was meant to be something else")
    func sensible() {
        for name in ["wg0", "hq", "office", "tun", "sun", "home", "wg-home", "eth0.5", "stats2", "vpn_1", "ru"] {
            #expect(MistakenName(name, isFile: false) == nil, "\(name)")
        }
        #expect(MistakenName("wg0", isFile: true) == nil)
    }

    @Test("a command, a misspelt one and a file are told what they are")
    func mistaken() {
        let expected = [
            "stats": "is a command of gatewayctl: gatewayctl stats",
            "stast": "is not a command; did you mean stats? It is a command of gatewayctl: gatewayctl stats",
            "shwo": "is not a command; did you mean show? It is a command of gatewayctl: gatewayctl show",
            "keygn": "is not a command; did you mean keygen? It is a command of gatewayctl: gatewayctl keygen",
            "runn": "is not a command; did you mean run? It is a command: gateway run --config FILE",
            "up": "is no command of gateway; to start: gateway run --config FILE",
            "--": "is no name for an interface",
            "hq.conf": "is a file; to run it: gateway run --config hq.conf",
        ]
        for (word, explanation) in expected {
            #expect(MistakenName(word, isFile: false)?.explanation == explanation)
        }
        #expect(MistakenName("hq", isFile: true)?.explanation == "is a file; to run it: gateway run --config hq")
        #expect(MistakenName("rum", isFile: false) == nil)
        #expect(MistakenName("rum", isFile: false, isAlone: false) != nil)
    }
}
