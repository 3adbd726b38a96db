import ArgumentParser
import Control
import Glibc

/// `gatewayctl top`: the peers on a full screen, second by second.
struct Top: GatewayCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Shows each peer on a full screen: both directions, ratio, what is left plain, round trip, queue, drops.",
        discussion: """
            q quits, s sorts by something else, the arrows scroll. Rates are of the last second, on the wire; the ratio is of what \
            is sent. Needs a terminal.
            """)

    @Argument(help: "The interface; may be left out if only one runs.")
    var name: InterfaceName?

    func perform() throws(Failure) {
        guard Terminal.isTerminal, isatty(STDIN_FILENO) == 1 else {
            throw Failure(.usage, "top needs a terminal: gatewayctl stats --json is for programs")
        }
        let client = try RunningGateway.client(name)
        var screen = TopScreen(isUnicode: FullScreen.isUnicode)
        screen.take(try reporting { () throws(ControlError) in try client.statistics() }, at: FullScreen.now)
        guard let terminal = FullScreen() else { throw Failure(.inputOutput, "the terminal can't be set") }
        defer { terminal.leave() }
        var dueAt = FullScreen.now + 1
        while true {
            let size = FullScreen.size
            terminal.draw(screen.lines(width: size.width, height: size.height, ink: Terminal.ink))
            switch terminal.wait(until: dueAt) {
            case .end: return
            case .key("q"), .key("Q"), .key("\u{3}"), .key("\u{4}"): return
            case .key("s"), .key("S"):
                let all = TopScreen.Order.allCases
                let place = all.firstIndex(of: screen.order) ?? 0
                screen.order = all[(place + 1) % all.count]
            case .down: screen.first = min(screen.first + 1, screen.lastFirst(height: size.height))
            case .up: screen.first = max(screen.first - 1, 0)
            case .time:
                dueAt = FullScreen.now + 1
                screen.take(try reporting { () throws(ControlError) in try client.statistics() }, at: FullScreen.now)
            case .key, .size: break
            }
        }
    }
}

/// A terminal that is drawn on as a whole, and is as it was afterwards.
struct FullScreen {
    enum Happening: Equatable {
        case key(Character)
        case up, down
        /// It has another size.
        case size
        case time
        /// A signal wants us to end, or nobody is there any more.
        case end
    }

    private let before: termios
    private let signals: sigset_t

    /// Takes the terminal over; `nil` if it can't be.
    init?() {
        var settings = termios()
        guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
        before = settings
        // Taken one by one in `wait`, so that the terminal is put right before they end us.
        var wanted = sigset_t()
        unsafe sigemptyset(&wanted)
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGWINCH] { unsafe sigaddset(&wanted, signal) }
        unsafe sigprocmask(SIG_BLOCK, &wanted, nil)
        signals = wanted
        unsafe cfmakeraw(&settings)
        settings.c_oflag |= tcflag_t(OPOST)
        guard unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0 else { return nil }
        // Another screen than the shell's, without a cursor.
        Terminal.write("\u{1b}[?1049h\u{1b}[?25l")
    }

    func leave() {
        Terminal.write("\u{1b}[?25h\u{1b}[?1049l")
        var settings = before
        unsafe tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
    }

    /// Draws line by line over what stood there, which does not flicker.
    func draw(_ lines: [String]) {
        Terminal.write("\u{1b}[H" + lines.map { $0 + "\u{1b}[K" }.joined(separator: "\r\n") + "\u{1b}[J")
    }

    /// Waits for what happens next, until a moment at most.
    func wait(until deadline: Double) -> Happening {
        var wanted = signals
        while true {
            var none = timespec()
            switch unsafe sigtimedwait(&wanted, nil, &none) {
            case SIGWINCH: return .size
            case SIGTERM, SIGINT, SIGHUP: return .end
            default: break
            }
            let left = deadline - Self.now
            guard left > 0 else { return .time }
            var entry = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            // Signals are looked for ten times a second.
            guard unsafe poll(&entry, 1, Int32(min(left, 0.1) * 1000) + 1) > 0 else { continue }
            guard entry.revents & Int16(POLLIN) != 0 else { return .end }
            return read()
        }
    }

    private func read() -> Happening {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = unsafe Glibc.read(STDIN_FILENO, &bytes, bytes.count)
        guard count > 0 else { return .end }
        switch String(decoding: bytes[..<count], as: UTF8.self) {
        case "\u{1b}[A", "\u{1b}OA", "k": return .up
        case "\u{1b}[B", "\u{1b}OB", "j": return .down
        default: return .key(Character(Unicode.Scalar(bytes[0])))
        }
    }

    static var size: (width: Int, height: Int) {
        var size = winsize()
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return (80, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Whether the terminal is told to show UTF-8.
    static var isUnicode: Bool {
        for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
            guard let value = unsafe getenv(name) else { continue }
            let text = unsafe String(cString: value).lowercased()
            if !text.isEmpty { return text.contains("utf-8") || text.contains("utf8") }
        }
        return false
    }

    /// Seconds of a clock that goes on.
    static var now: Double {
        var moment = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &moment)
        return Double(moment.tv_sec) + Double(moment.tv_nsec) / 1e9
    }
}
