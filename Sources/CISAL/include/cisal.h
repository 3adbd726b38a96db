#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Reed-Solomon parity over GF(2^8) by ISA-L: the coefficient of the vector at position p in row r is 2^(r*p).
enum { cisal_rows = 3, cisal_positions = 64 };

// Bytes of the tables, which cisal_make_tables fills.
size_t cisal_tables_size(void);
void cisal_make_tables(void *_Nonnull tables);

// Adds a vector of n bytes at a position to the first `rows` rows, which lie `stride` bytes apart.
void cisal_add(const void *_Nonnull tables, int rows, int position, const void *_Nonnull vector, size_t n,
               void *_Nonnull sums, size_t stride);

// Solves for `count` vectors of n bytes at `positions`, given what is left of as many rows, sums + rows[i] * stride, when all other
// vectors have been added to them. The vectors go to out + i * stride. False if that can't be solved.
bool cisal_solve(int count, const uint8_t *_Nonnull rows, const uint8_t *_Nonnull positions, size_t n,
                 const void *_Nonnull sums, void *_Nonnull out, size_t stride);
