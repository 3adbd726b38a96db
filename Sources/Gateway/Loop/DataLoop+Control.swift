import LinuxIO
import Steward

// The control socket's file, which somebody may remove.

extension DataLoop {
    /// Begins to watch the file.
    mutating func watch(_ server: ControlServer) {
        control = server
        isControlDue = false
        guard let watch = try? steward.watchSocket(.control) else { return }
        guard (try? epoll.add(watch.raw, token: Source.controlFile.rawValue)) != nil else { return }
        controlFile = consume watch
    }

    /// Has the socket made again if its file is gone. On a request it is looked at also where nobody tells, since the
    /// folder was moved away or the file can't be watched.
    mutating func lookAfterControl(_ chores: Chores) {
        guard let server = control, !isControlDue, steward.isSocketGone(.control) else { return }
        controlFile = nil
        isControlDue = chores.post { [commands] in
            server.reopen()
            commands.post { loop, _ in loop.watch(server) }
        }
    }
}
