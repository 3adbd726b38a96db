// zstd (RFC 8878) frames without magic number, of whole units, with contexts in fixed memory that are made once.
//
// Plain pointers: Swift 6.3.1 fails to compile calls of functions with several counted ones.
#ifndef CZSTD_H
#define CZSTD_H

#include <stddef.h>
#include <stdint.h>

/// A compression context for levels up to `level` and inputs of up to 64 KiB. NULL if there is no memory.
void *czstd_compressor(int level);
void czstd_compressor_free(void *compressor);

/// Compresses `m` bytes into at most `n`; the number written, or 0 if they do not fit (then nothing of `out` counts).
/// Nothing is allocated.
size_t czstd_compress(void *compressor, int level, void *out, size_t n, const void *plain, size_t m);

/// A decompression context.
void *czstd_decompressor(void);
void czstd_decompressor_free(void *decompressor);

/// Decompresses `m` bytes into at most `n`; the number written, or -1 if the input is not exactly one frame whose
/// content fits.
long czstd_decompress(void *decompressor, void *out, size_t n, const void *coded, size_t m);

/// The size of the frame that `coded` begins with (RFC 8878 §3.1.1); 0 if it is not whole.
size_t czstd_frame_size(const void *coded, size_t m);

// Dictionaries: units that refer to up to 16 KiB of bytes which both ends have, each of which is one frame (czstd_dictionary.c).

/// A compression context for levels up to `level`.
void *czstd_dictionary_compressor(int level);
void czstd_dictionary_compressor_free(void *compressor);

/// Compresses `m` bytes, which may refer to the `d` bytes of `dictionary`, into at most `n`; the number written, or 0 if they do not fit.
/// Nothing is allocated.
size_t czstd_dictionary_compress(void *compressor, int level, void *out, size_t n, const void *plain, size_t m,
                                 const void *dictionary, size_t d);

/// A decompression context.
void *czstd_dictionary_decompressor(void);
void czstd_dictionary_decompressor_free(void *decompressor);

/// Decompresses `m` bytes, which refer to nothing but `dictionary`, into at most `n`; the number written, or -1 if the input is not exactly
/// one frame whose content fits.
long czstd_dictionary_decompress(void *decompressor, void *out, size_t n, const void *coded, size_t m,
                                 const void *dictionary, size_t d);

// Streams: units that refer to those before them, in memory of a fixed size (czstd_stream.c).

/// The memory of an encoder with a level and a window of 2^`window` bytes; the encoder, NULL if there is no memory.
size_t czstd_stream_encoder_size(int level, int window);
void *czstd_stream_encoder(int level, int window);
void czstd_stream_encoder_free(void *encoder);
/// Forgets all units.
void czstd_stream_encoder_reset(void *encoder);

/// Codes the next unit, of `m` bytes, into at most `n`; the number written. 0: they do not fit, or something else is wrong, and the
/// stream is of no use any more. Nothing is allocated.
size_t czstd_stream_encode(void *encoder, void *out, size_t n, const void *plain, size_t m);

/// The same for a decoder of streams with such a window or a smaller one.
size_t czstd_stream_decoder_size(int window);
void *czstd_stream_decoder(int window);
void czstd_stream_decoder_free(void *decoder);
void czstd_stream_decoder_reset(void *decoder);

/// Decodes the next unit, of exactly `n` bytes; `out` has room for `n` + 1. 0: it is none, and the stream is of no use any more.
int czstd_stream_decode(void *decoder, void *out, size_t n, const void *coded, size_t m);

#endif
