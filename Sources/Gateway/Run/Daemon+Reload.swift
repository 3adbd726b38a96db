import Addresses
import Control
import Glibc
import Keys
import LinuxIO
import Steward
import Synchronization
import TunnelCore

extension Daemon {
    /// Reads the file again and applies the difference; `dryRun` only says it. Sessions of peers that did not change go on. What
    /// came another way than by the file stays: a key that `wg` gave, an endpoint that a peer moved to. A file with an error
    /// changes nothing, and is `nil`. On the chores' thread for files.
    @discardableResult
    func reload(_ chores: Chores, dryRun: Bool = false) -> Reload? {
        let old = configuration
        guard let (new, key) = readAgain(old.file) else {
            log.error("reload: \(old.file) has errors, nothing was changed")
            return nil
        }
        guard new.interface.mode == old.interface.mode else {
            log.error("reload: Mode takes a restart, nothing was changed")
            return nil
        }
        var reload = Reload(from: old, to: new, key)
        reload.changedMeanwhile =
            onLoop { loop, now in old.peersChanged(in: loop.tunnel.statistics(at: now.instant)) } ?? []
        guard !dryRun else { return reload }
        let keys = new.interface.keysForRestart(since: old.interface)
        if !keys.isEmpty {
            let verb = keys.count == 1 ? "takes" : "take"
            log.warning("reload: \(keys.joined(separator: ", ")) changed and \(verb) a restart")
        }
        steward.adoptConfiguration()
        applyToSockets(&reload)
        applyToNetwork(&reload)
        if reload.changes(.dns) {
            if let failure = steward.setNameServers() { reload.fail(.dns, failure) }
        }
        change(to: reload.applied)
        applyToTunnel(reload, chores)
        // Of routes it was said already.
        for change in reload.changes where change.what != Reload.routes {
            if let reason = change.reason, !reason.hasPrefix("takes a restart") {
                log.warning("reload: \(change.what) was not changed: \(reason)")
            } else if change.isApplied {
                log.info("reload: \(change.what)")
            }
        }
        if !reload.changedMeanwhile.isEmpty {
            log.info("reload: changed meanwhile, and left so: \(reload.changedMeanwhile.joined(separator: ", "))")
        }
        log.info("reloaded: \(reload.changedPeers.count) peers new or changed, \(reload.removed.count) removed")
        return reload
    }

    private func applyToSockets(_ reload: inout Reload) {
        guard reload.changes(.listenPort) else { return }
        let port = reload.new.interface.listenPort
        let failure: SystemError?? = onLoop { [self] loop, _ in
            do throws(SystemError) {
                try loop.listen(on: port, grace: true)
                note(loop)
                return nil
            } catch {
                return error
            }
        }
        switch failure {
        case .some(nil): break
        case .some(.some(let error)) where error.number == EACCES:
            reload.fail(.listenPort, "takes a restart: the right to ports below 1024 was given up")
        case .some(.some(let error)): reload.fail(.listenPort, "\(error)")
        case nil: reload.fail(.listenPort, "the data thread is busy")
        }
    }

    private func applyToNetwork(_ reload: inout Reload) {
        let target = reload.applied
        let outcome = network.withLock { network -> Result<NetworkChanged, SystemError>? in
            do throws(SystemError) {
                return try (network?.change(to: target) { mark in setMark(mark) }).map { .success($0) }
            } catch {
                return .failure(error)
            }
        }
        switch outcome {
        case .success(let changed):
            for (key, error) in changed.failures { reload.fail(key, "\(error)") }
            if let first = changed.mended.failures.first { reload.failRoutes("\(first)") }
            report(changed.mended.failures)
        case .failure(let error): reload.failRoutes("\(error)")
        case nil: break
        }
    }

    private func setMark(_ mark: UInt32) -> SystemError? {
        let outcome: SystemError?? = onLoop { [self] loop, _ in
            do throws(SystemError) {
                try loop.setMark(mark)
                note(loop)
                return nil
            } catch {
                return error
            }
        }
        return outcome ?? SystemError("set the mark", number: EBUSY)
    }

    private func applyToTunnel(_ reload: Reload, _ chores: Chores) {
        let key = reload.key
        let isNewKey = keyInFile.withLock { last in
            defer { last = key.publicKey }
            return last != key.publicKey
        }
        let (removed, changed, placed) = (reload.removed, reload.changedPeers, reload.placed)
        let interface = reload.applied.interface
        let hasOffloads = reload.changes(.offload)
        commands.post { loop, now in
            if isNewKey, loop.tunnel.publicKey != key.publicKey { loop.tunnel.setPrivateKey(key, at: now) }
            loop.tunnel.setRate(interface, at: now)
            loop.tunnel.segmentClamp = interface.clampMSS.core
            loop.tunnel.answersNeighbours = interface.answersNeighbours
            if hasOffloads { loop.setOffloads(interface.offloads) }
            for peer in removed { loop.tunnel.removePeer(peer) }
            for peer in changed {
                var told = peer.tunnelConfiguration
                if placed.contains(peer.publicKey), loop.tunnel.hasPeer(peer.publicKey) {
                    told.endpoint = nil
                } else {
                    chores.resolveAll([peer])
                }
                loop.tunnel.setPeer(peer.publicKey, told, at: now)
            }
        }
    }

    /// Has something done on the data thread and waits for it; `nil` if that does not come to it within five seconds.
    func onLoop<Value: Sendable>(_ body: @escaping @Sendable (inout DataLoop, Now) -> Value) -> Value? {
        guard let done = try? Mailbox<Value>(capacity: 1),
            commands.post({ loop, now in _ = done.post(body(&loop, now)) })
        else { return nil }
        done.wait(milliseconds: 5000)
        return done.takeAll().first
    }

    private func readAgain(_ file: String) -> (Configuration, PrivateKey)? {
        do throws(FileFailure) {
            let files = try steward.readConfiguration()
            let (found, diagnostics) = try Configuration.load(file, from: files)
            for diagnostic in diagnostics { log.warning("\(diagnostic)") }
            guard let found else { return nil }
            let (key, problems) = found.loadPrivateKey(from: files)
            for diagnostic in problems { log.warning("\(diagnostic)") }
            return key.map { (found, $0) }
        } catch {
            log.warning("\(error)")
            return nil
        }
    }
}
