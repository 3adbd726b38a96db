/// A codec as those see it who choose and use it. A new codec is a case of `Codec`, a line in `Codec.traits`, and a file
/// like `Zstd.swift`.
@safe struct CodecTraits {
    /// The name that people write and read.
    let name: StaticString
    /// Of several codecs that a peer decodes, `auto` takes the one with the highest.
    let preference: Int
    /// How hard it can try, the least effort first.
    let efforts: EffortTable
    /// How long a decoded byte takes, nearly.
    let decoding: Interval
    let library: Library

    /// The functions of its library, which work on whole units: none depends on another.
    @unsafe struct Library {
        typealias Context = UnsafeMutableRawPointer

        /// A context for `encode`, in memory of a fixed size; `nil` if there is no memory.
        let makeEncoder: @convention(c) () -> Context?
        /// A context for `decode`.
        let makeDecoder: @convention(c) () -> Context?
        let freeEncoder: @convention(c) (Context?) -> Void
        let freeDecoder: @convention(c) (Context?) -> Void
        /// Codes with a level into the first buffer; the bytes that took, 0 if they are more than it holds.
        let encode: @convention(c) (Context?, Int32, UnsafeMutableRawPointer?, Int, UnsafeRawPointer?, Int) -> Int
        /// Decodes into the first buffer; the bytes that came out, -1 if the second is not exactly one stream whose content fits.
        let decode: @convention(c) (Context?, UnsafeMutableRawPointer?, Int, UnsafeRawPointer?, Int) -> Int
    }
}

extension Codec {
    var traits: CodecTraits {
        switch self {
        case .deflate: .deflate
        case .zstd: .zstd
        }
    }

    /// The name that people write and read.
    public var name: String { "\(traits.name)" }
}

extension CodecSet {
    /// Its codec that `auto` codes with.
    var preferred: Codec? {
        Codec.allCases.filter { contains($0) }.max { $0.traits.preference < $1.traits.preference }
    }
}

/// The encoders of all codecs: contexts that are made once and used for one unit after the other.
@safe
struct Encoders: ~Copyable {
    /// By the codec's number on the wire, of four bits.
    private var contexts = unsafe InlineArray<16, CodecTraits.Library.Context?>(repeating: nil)

    init() {
        for codec in Codec.allCases {
            guard let context = unsafe codec.traits.library.makeEncoder() else { fatalError("no memory for \(codec)") }
            unsafe contexts[Int(codec.rawValue)] = context
        }
    }

    deinit {
        for codec in Codec.allCases { unsafe codec.traits.library.freeEncoder(contexts[Int(codec.rawValue)]) }
    }

    /// Codes `plain` into `space`; how many bytes that took, or 0 if it does not fit.
    func encode(_ plain: RawSpan, with codec: Codec, level: Int32, into space: inout MutableRawSpan) -> Int {
        unsafe space.withUnsafeMutableBytes { out in
            unsafe plain.withUnsafeBytes { plain in
                unsafe codec.traits.library.encode(
                    contexts[Int(codec.rawValue)], level, out.baseAddress, out.count, plain.baseAddress, plain.count)
            }
        }
    }
}

/// The decoders of all codecs, likewise.
@safe
struct Decoders: ~Copyable {
    private var contexts = unsafe InlineArray<16, CodecTraits.Library.Context?>(repeating: nil)

    init() {
        for codec in Codec.allCases {
            guard let context = unsafe codec.traits.library.makeDecoder() else { fatalError("no memory for \(codec)") }
            unsafe contexts[Int(codec.rawValue)] = context
        }
    }

    deinit {
        for codec in Codec.allCases { unsafe codec.traits.library.freeDecoder(contexts[Int(codec.rawValue)]) }
    }

    /// Decodes `coded` into `space`; how many bytes came out, or `nil` if `coded` is not exactly one stream whose
    /// content fits.
    func decode(_ coded: RawSpan, with codec: Codec, into space: inout MutableRawSpan) -> Int? {
        let length = unsafe space.withUnsafeMutableBytes { out in
            unsafe coded.withUnsafeBytes { coded in
                unsafe codec.traits.library.decode(
                    contexts[Int(codec.rawValue)], out.baseAddress, out.count, coded.baseAddress, coded.count)
            }
        }
        return length >= 0 ? length : nil
    }
}
