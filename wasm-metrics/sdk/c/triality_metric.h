/* The C SDK of triality_metric_v1; see ABI.md for the layout.
 *
 * A metric is one file that includes this one, once, and says
 *
 *   TM_DESCRIPTION({"name": "...", ...})          the JSON, as it is
 *   uint64_t tm_eval(const tm_table *t, tm_results *r) { ...; return tm_done(r); }
 *
 * It needs no libc: clang -O3 --target=wasm32 -mbulk-memory -msimd128 -ffreestanding -nostdlib
 * -Wl,--no-entry -o metric.wasm main.c. Memory is never given back: an instance
 * lives for one call. */
#ifndef TRIALITY_METRIC_H
#define TRIALITY_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TM_LABEL = 1, TM_PREDICTION, TM_PROBABILITY, TM_TEXT, TM_OUTPUT,
       TM_LATENCY, TM_GROUP, TM_EXTRA, TM_CLASS, TM_PARAMETER,
       TM_TOKEN_LOGPROB, TM_ARM /* of version 1.1, which a description asks for by "abi": "1.1" */ };
enum { TM_SHARED, TM_A, TM_B };
enum { TM_MAX_RESULTS = 256 };

/* One column of the table, read in place. Check tm_valid before a row's value. */
typedef struct {
    uint32_t role, arm, dtype, size; /* size: bytes of data */
    const void *data;
    const uint32_t *offsets; /* utf8 and f64_list with one value a row, else NULL */
    const uint8_t *validity; /* NULL: every row has a value */
    const char *name;        /* name_size bytes, no NUL */
    uint32_t name_size;
} tm_column;

typedef struct {
    uint32_t rows, columns;
    const uint8_t *at;
} tm_table;

/* Bytes that are not ended by a NUL. */
typedef struct {
    const char *at;
    uint32_t size;
} tm_text;

/* Numbers in the table's memory. */
typedef struct {
    const double *at;
    uint32_t size;
} tm_numbers;

typedef struct {
    uint32_t count, rows;
    struct { uint32_t kind, size; const char *name; const double *values; const tm_text *groups; uint32_t group_count; } of[TM_MAX_RESULTS];
} tm_results;

/* What the metric defines. */
uint64_t tm_eval(const tm_table *t, tm_results *r);
extern const char tm_description[];
extern const uint32_t tm_description_size;

#define TM_DESCRIPTION(...)                          \
    const char tm_description[] = #__VA_ARGS__;      \
    const uint32_t tm_description_size = sizeof tm_description - 1;

/* ---- memory ---- */

extern unsigned char __heap_base;
static uintptr_t tm_free_at;

/* size bytes on a multiple of 16, or NULL where there is no room. */
static void *tm_alloc(uint64_t size) {
    if (!tm_free_at) tm_free_at = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    uintptr_t at = tm_free_at;
    uint64_t end = (at + (size ? size : 1) + 15) & ~15ull;
    uint64_t pages = (end + 65535) >> 16, have = __builtin_wasm_memory_size(0);
    if (end > 0xfffffff0u) return NULL;
    if (pages > have && __builtin_wasm_memory_grow(0, pages - have) == (size_t)-1) return NULL;
    tm_free_at = (uintptr_t)end;
    return (void *)at;
}

/* n doubles; traps where there is no room, so that nothing need check. */
static inline double *tm_doubles(uint32_t n) {
    double *d = tm_alloc(8ull * n);
    if (!d) __builtin_trap();
    return d;
}

/* ---- reading ---- */

static inline uint32_t tm_word(const void *at, uint32_t i) { return ((const uint32_t *)at)[i]; }

static tm_column tm_column_at(const tm_table *t, uint32_t i) {
    const uint8_t *r = t->at + 16 + 32 * i;
    uint32_t name = tm_word(r, 3) & ~15u, offsets = tm_word(r, 6), validity = tm_word(r, 7);
    tm_column c = {tm_word(r, 0), tm_word(r, 1), tm_word(r, 2), tm_word(r, 5), t->at + tm_word(r, 4),
                   offsets ? (const uint32_t *)(t->at + offsets) : NULL, validity ? t->at + validity : NULL,
                   "", 0};
    if (name) c.name = (const char *)t->at + name + 4, c.name_size = tm_word(t->at + name, 0);
    return c;
}

/* The n-th column of a role and arm (from 0); false where there are not so many. */
static bool tm_find(const tm_table *t, uint32_t role, uint32_t arm, uint32_t n, tm_column *out) {
    for (uint32_t i = 0; i < t->columns; i++) {
        const uint8_t *r = t->at + 16 + 32 * i;
        if (tm_word(r, 0) == role && tm_word(r, 1) == arm && n-- == 0) {
            *out = tm_column_at(t, i);
            return true;
        }
    }
    return false;
}

static inline uint32_t tm_length(const char *s) {
    uint32_t n = 0;
    while (s[n]) n++;
    return n;
}

/* The extra column or parameter of that name; false where there is none. */
static bool tm_named(const tm_table *t, uint32_t role, uint32_t arm, const char *name, tm_column *out) {
    uint32_t size = tm_length(name);
    for (uint32_t n = 0; tm_find(t, role, arm, n, out); n++) {
        uint32_t i = 0;
        while (i < size && i < out->name_size && out->name[i] == name[i]) i++;
        if (i == size && i == out->name_size) return true;
    }
    return false;
}

/* How many columns a role and arm have: of TM_CLASS, how many classes there are. */
static inline uint32_t tm_count(const tm_table *t, uint32_t role, uint32_t arm) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->columns; i++) {
        const uint8_t *r = t->at + 16 + 32 * i;
        n += tm_word(r, 0) == role && tm_word(r, 1) == arm;
    }
    return n;
}

static inline bool tm_valid(const tm_column *c, uint32_t i) {
    return !c->validity || (c->validity[i >> 3] >> (i & 7) & 1);
}
/* The same of 64 rows from i on, a multiple of 64: bit k is row i + k; those after
 * the last row are clear. */
static inline uint64_t tm_valid64(const tm_column *c, uint32_t rows, uint32_t i) {
    uint64_t bits = ~0ull;
    if (c->validity) __builtin_memcpy(&bits, c->validity + (i >> 3), 8); /* buffers are padded to 16 bytes */
    return rows - i < 64 ? bits & ((1ull << (rows - i)) - 1) : bits;
}
static inline int32_t tm_i32(const tm_column *c, uint32_t i) { return ((const int32_t *)c->data)[i]; }
static inline int64_t tm_i64(const tm_column *c, uint32_t i) { return ((const int64_t *)c->data)[i]; }
static inline double tm_f64(const tm_column *c, uint32_t i) { return ((const double *)c->data)[i]; }

/* Two numbers that are worked on at once, lane by lane, to the same bits as one
 * after the other; with -msimd128 by one instruction. */
typedef double tm_pair __attribute__((vector_size(16)));
typedef int64_t tm_mask __attribute__((vector_size(16))); /* -1 where true, else 0 */
static inline tm_pair tm_pair_at(const double *at) {
    tm_pair p;
    __builtin_memcpy(&p, at, sizeof p);
    return p;
}
static inline void tm_pair_to(void *at, tm_pair p) { __builtin_memcpy(at, &p, sizeof p); }

/* Row i of a utf8 column; of a constant one, its value. */
static inline tm_text tm_string(const tm_column *c, uint32_t i) {
    const char *data = c->data;
    if (!c->offsets) return (tm_text){data, c->size};
    return (tm_text){data + c->offsets[i], c->offsets[i + 1] - c->offsets[i]};
}

/* Row i of a f64_list column. */
static inline tm_numbers tm_list(const tm_column *c, uint32_t i) {
    return (tm_numbers){(const double *)c->data + c->offsets[i], c->offsets[i + 1] - c->offsets[i]};
}

/* How many arms there are, in version 1.1: they are 1 (A), 2 (B) and so on. What
 * people call arm a is the column tm_find(t, TM_ARM, a, 0, &c), tm_string(&c, 0). */
static inline uint32_t tm_arms(const tm_table *t) {
    uint32_t n = 0;
    while (tm_count(t, TM_ARM, n + 1)) n++;
    return n;
}

/* What an arm's result is called of an output that each arm has. */
static const char *tm_of_arm(const char *name, uint32_t arm) {
    uint32_t n = tm_length(name);
    char *s = tm_alloc(n + 3);
    if (!s) __builtin_trap();
    __builtin_memcpy(s, name, n);
    s[n] = '.', s[n + 1] = (char)('A' + arm - 1), s[n + 2] = 0;
    return s;
}

/* A parameter; the host sends every one the description names, so that a name
 * that is not there is a mistake in the metric and traps. */
static inline tm_column tm_parameter(const tm_table *t, const char *name) {
    tm_column c;
    if (!tm_named(t, TM_PARAMETER, TM_SHARED, name, &c)) __builtin_trap();
    return c;
}
static inline double tm_number(const tm_table *t, const char *name) {
    tm_column c = tm_parameter(t, name);
    return tm_f64(&c, 0);
}
static inline int64_t tm_integer(const tm_table *t, const char *name) {
    tm_column c = tm_parameter(t, name);
    return tm_i64(&c, 0);
}
static inline bool tm_boolean(const tm_table *t, const char *name) {
    tm_column c = tm_parameter(t, name);
    return tm_i32(&c, 0) != 0;
}

/* ---- results: NaN and infinities are sent as undefined ---- */

static void tm_add(tm_results *r, uint32_t kind, const char *name, const double *values, uint32_t n) {
    if (r->count == TM_MAX_RESULTS) __builtin_trap();
    r->of[r->count].kind = kind, r->of[r->count].size = n;
    r->of[r->count].name = name, r->of[r->count].values = values;
    r->of[r->count].groups = NULL, r->of[r->count].group_count = 0;
    r->count++;
}
static inline void tm_scalar(tm_results *r, const char *name, double v) {
    double *d = tm_doubles(1);
    *d = v;
    tm_add(r, 1, name, d, 1);
}
/* values stay the caller's and are read by tm_done. */
static inline void tm_vector(tm_results *r, const char *name, const double *values, uint32_t n) {
    tm_add(r, 2, name, values, n);
}
/* One value a row of the table. */
static inline void tm_rows(tm_results *r, const char *name, const double *values) {
    tm_add(r, 3, name, values, r->rows);
}

/* Of version 1.1: a value and its interval. */
static inline void tm_interval(tm_results *r, const char *name, double v, double low, double high) {
    double *d = tm_doubles(3);
    d[0] = v, d[1] = low, d[2] = high;
    tm_add(r, 4, name, d, 3);
}
/* Of version 1.1: one value for each of n groups, whose names have 1 to 128 bytes
 * and are all different; names and values stay the caller's and are read by tm_done. */
static inline void tm_groups(tm_results *r, const char *name, const tm_text *groups, const double *values, uint32_t n) {
    tm_add(r, 5, name, values, n);
    r->of[r->count - 1].groups = groups, r->of[r->count - 1].group_count = n;
}
/* Of version 1.1: value, low and high for each of n groups. */
static inline void tm_group_intervals(tm_results *r, const char *name, const tm_text *groups, const double *values, uint32_t n) {
    tm_add(r, 6, name, values, 3 * n);
    r->of[r->count - 1].groups = groups, r->of[r->count - 1].group_count = n;
}

#define TM_NAN __builtin_nan("")

static inline uint64_t tm_pack(const void *at, uint32_t size) { return (uint64_t)(uintptr_t)at << 32 | size; }

static uint8_t *tm_block(uint64_t size, uint32_t status, uint32_t count) {
    uint8_t *b = tm_alloc(size);
    if (!b) __builtin_trap();
    ((uint32_t *)b)[0] = 0x31524d54, ((uint32_t *)b)[1] = 1;
    ((uint32_t *)b)[2] = status, ((uint32_t *)b)[3] = count;
    return b;
}

/* Copies n values and writes their bitmap; NaN and infinities become 0 and
 * undefined. Says whether every value is defined. */
static bool tm_copy(uint8_t *to, uint8_t *validity, const double *values, uint32_t n) {
    bool all = true;
    for (uint32_t i = 0; i < n; i += 8) {
        const double *v = values + i;
        uint32_t m = n - i < 8 ? n - i : 8;
        /* The sum of v - v is 0 where all are finite, else NaN. */
        if (m == 8) {
            tm_pair p = tm_pair_at(v), q = tm_pair_at(v + 2), r = tm_pair_at(v + 4), s = tm_pair_at(v + 6);
            tm_pair z = (p - p) + (q - q) + ((r - r) + (s - s));
            tm_pair_to(to + 8 * i, p), tm_pair_to(to + 8 * i + 16, q);
            tm_pair_to(to + 8 * i + 32, r), tm_pair_to(to + 8 * i + 48, s);
            if (z[0] + z[1] == 0) {
                validity[i >> 3] = 0xff;
                continue;
            }
        } else
            __builtin_memcpy(to + 8 * i, v, 8 * m);
        uint32_t bits = 0;
        for (uint32_t j = 0; j < m; j++)
            if (v[j] - v[j] == 0) bits |= 1u << j;
            else __builtin_memset(to + 8 * (i + j), 0, 8), all = false;
        validity[i >> 3] = (uint8_t)bits;
    }
    return all;
}

/* Writes the names of groups: where each begins and the last ends, then the bytes. */
static uint32_t tm_write_groups(uint8_t *to, const tm_text *groups, uint32_t n) {
    uint32_t end = 0, bytes = 4 * (n + 1);
    __builtin_memset(to, 0, 4);
    for (uint32_t i = 0; i < n; i++) {
        __builtin_memcpy(to + bytes + end, groups[i].at, groups[i].size);
        end += groups[i].size;
        __builtin_memcpy(to + 4 * (i + 1), &end, 4);
    }
    return bytes + end;
}

/* The block of results: what tm_eval returns. */
static uint64_t tm_done(const tm_results *r) {
    uint64_t size = 16 + 32 * r->count;
    for (uint32_t i = 0; i < r->count; i++) {
        size += tm_length(r->of[i].name) + 8ull * r->of[i].size + (r->of[i].size + 7) / 8 + 4;
        for (uint32_t j = 0; j < r->of[i].group_count; j++) size += 4 + r->of[i].groups[j].size;
    }
    uint8_t *b = tm_block(size, 0, r->count);
    uint32_t end = 16 + 32 * r->count;
    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t *record = (uint32_t *)(b + 16 + 32 * i), n = r->of[i].size, name = tm_length(r->of[i].name);
        record[0] = r->of[i].kind, record[1] = 3, record[2] = end, record[3] = name;
        __builtin_memcpy(b + end, r->of[i].name, name);
        end += name;
        record[4] = end, record[5] = 8 * n, record[6] = 0, record[7] = 0;
        bool all = tm_copy(b + end, b + end + 8 * n, r->of[i].values, n);
        end += 8 * n;
        if (!all) record[6] = end, end += (n + 7) / 8;
        if (r->of[i].kind >= 5) record[7] = end, end += tm_write_groups(b + end, r->of[i].groups, r->of[i].group_count);
    }
    return tm_pack(b, end);
}

/* An error text that the user sees: what tm_eval returns instead of results. */
static inline uint64_t tm_failed(const char *text) {
    uint32_t n = tm_length(text);
    uint8_t *b = tm_block(16 + n, 1, n);
    __builtin_memcpy(b + 16, text, n);
    return tm_pack(b, 16 + n);
}

/* ---- exports ---- */

__attribute__((export_name("triality_metric_v1"))) void tm_marker(void) {}
__attribute__((export_name("metric_alloc"))) uint32_t tm_export_alloc(uint32_t size) {
    return (uint32_t)(uintptr_t)tm_alloc(size);
}
__attribute__((export_name("metric_describe"))) uint64_t tm_export_describe(void) {
    return tm_pack(tm_description, tm_description_size);
}
__attribute__((export_name("metric_eval"))) uint64_t tm_export_eval(const uint8_t *at, uint32_t size) {
    static tm_results r;
    if (size < 16 || tm_word(at, 0) != 0x31544d54 || tm_word(at, 1) != 1)
        return tm_failed("the table is not one of version 1");
    tm_table t = {tm_word(at, 2), tm_word(at, 3), at};
    r.count = 0, r.rows = t.rows;
    return tm_eval(&t, &r);
}

#endif
