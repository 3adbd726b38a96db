import Control
import Keys
import NIOCore

extension ByteBuffer {
    /// Overwrites the bytes that can be read, in every buffer that shares them: all others must be done with them.
    func wipe() {
        unsafe withUnsafeReadableBytes { bytes in
            guard let start = unsafe bytes.bindMemory(to: UInt8.self).baseAddress else { return }
            var span = unsafe MutableSpan(_unsafeStart: UnsafeMutablePointer(mutating: start), count: bytes.count)
            Keys.wipe(&span)
        }
    }
}

extension UAPIText {
    /// Hands over what was written so far, and leaves it nowhere else.
    mutating func takeBuffer() -> ByteBuffer {
        var bytes = take()
        let buffer = ByteBuffer(bytes: bytes)
        var span = bytes.mutableSpan
        Keys.wipe(&span)
        return buffer
    }
}
