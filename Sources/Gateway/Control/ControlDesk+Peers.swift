import Control
import LinuxIO
import NIOCore
import NIOHTTP1
import Steward

extension ControlDesk {
    /// Changes a peer in the file, and has the file read again: both hold then, or neither.
    func edit(_ edit: PeerEdit, on loop: any EventLoop) -> EventLoopFuture<ControlReply> {
        let promise = loop.makePromise(of: ControlReply.self)
        let isPosted = chores.post { [self] in
            if daemon.isHandedOver { return promise.fail(TooBusy()) }
            do throws(Failure) {
                try daemon.steward.edit(edit)
            } catch {
                return promise.succeed(Self.refusal(error))
            }
            let reply = reload()
            if reply.status != .ok { daemon.steward.takeBackEdit() }
            if !daemon.commands.post({ _, _ in promise.succeed(reply) }) { promise.fail(TooBusy()) }
        }
        if !isPosted { promise.fail(TooBusy()) }
        return promise.futureResult
    }

    static func refusal(_ failure: Failure) -> ControlReply {
        switch failure.status {
        case .data:
            ControlReply(.notFound, failure.message, code: "noPeer", cure: "GET /v1/peers lists them")
        case .configuration, .usage, .cantCreate:
            ControlReply(
                .unprocessableEntity, failure.message, code: "configuration", cure: "see docs/configuration.md")
        case .missingInput:
            ControlReply(.conflict, failure.message, code: "noFile", cure: "change it with wg set")
        default: ControlReply(.internalServerError, failure.message)
        }
    }
}
