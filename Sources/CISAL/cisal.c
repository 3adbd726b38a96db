#include "cisal.h"

#include <isa-l/erasure_code.h>

static unsigned char coefficient(int row, int position) {
    unsigned char power = 1;
    for (int i = 0; i < row * position; i++) power = gf_mul(power, 2);
    return power;
}

size_t cisal_tables_size(void) { return 32 * cisal_rows * cisal_positions; }

void cisal_make_tables(void *tables) {
    unsigned char matrix[cisal_rows * cisal_positions];
    for (int row = 0; row < cisal_rows; row++) {
        for (int position = 0; position < cisal_positions; position++) {
            matrix[row * cisal_positions + position] = coefficient(row, position);
        }
    }
    ec_init_tables(cisal_positions, cisal_rows, matrix, tables);
}

void cisal_add(const void *tables, int rows, int position, const void *vector, size_t n, void *sums, size_t stride) {
    unsigned char *coding[cisal_rows];
    for (int row = 0; row < rows; row++) coding[row] = (unsigned char *)sums + row * stride;
    ec_encode_data_update((int)n, cisal_positions, rows, position, (unsigned char *)tables, (unsigned char *)vector, coding);
}

bool cisal_solve(int count, const uint8_t *rows, const uint8_t *positions, size_t n, const void *sums, void *out,
                 size_t stride) {
    unsigned char matrix[cisal_rows * cisal_rows], inverse[cisal_rows * cisal_rows], tables[32 * cisal_rows * cisal_rows];
    unsigned char *known[cisal_rows], *wanted[cisal_rows];
    if (count < 1 || count > cisal_rows) return false;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) matrix[i * count + j] = coefficient(rows[i], positions[j]);
        known[i] = (unsigned char *)sums + rows[i] * stride;
        wanted[i] = (unsigned char *)out + i * stride;
    }
    if (gf_invert_matrix(matrix, inverse, count) != 0) return false;
    ec_init_tables(count, count, inverse, tables);
    ec_encode_data((int)n, count, count, tables, known, wanted);
    return true;
}
