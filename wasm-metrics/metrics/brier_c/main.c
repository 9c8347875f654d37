/* The metric brier in C: the same results to the bit, and what the sandbox's
 * speed is measured with. */
#include "triality_metric.h"

TM_DESCRIPTION({
  "name": "brier_c",
  "version": "1.0.0",
  "description": "Brier score, as the metric brier, compiled from C: the squared distance between the class probabilities and the gold class, of each row and on average, for each arm, and B minus A. Rows without a gold class, or without every probability, are left out.",
  "formula": "brier = (1/n) * sum over rows of sum over classes c of (p_c - [gold = c])^2",
  "source": "G. W. Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78 (1950)",
  "columns": [
    {"role": "label"},
    {"role": "probability", "arm": "A"},
    {"role": "probability", "arm": "B", "optional": true}
  ],
  "outputs": [
    {"name": "brier.A", "kind": "scalar", "direction": "lower", "arm": "A", "min": 0, "max": 2},
    {"name": "brier.B", "kind": "scalar", "direction": "lower", "arm": "B", "min": 0, "max": 2},
    {"name": "brier.difference", "kind": "scalar", "direction": "lower", "min": -2, "max": 2, "description": "B minus A"},
    {"name": "brier_row.A", "kind": "column", "direction": "lower", "arm": "A", "min": 0, "max": 2},
    {"name": "brier_row.B", "kind": "column", "direction": "lower", "arm": "B", "min": 0, "max": 2}
  ]
})

/* The scores of one arm; NaN, which is sent as undefined, for rows left out. */
typedef struct {
    double *rows, mean;
    bool wrong; /* a probability is not between 0 and 1 */
} scores;

/* d² of two rows' probabilities of a class, less 1 where right says so; in stays
 * true where they are between 0 and 1. */
static inline tm_pair squares(tm_pair d, tm_mask right, tm_mask *in) {
    *in &= d >= 0 & d <= 1;
    d -= (tm_pair)((tm_mask)(tm_pair){1, 1} & right);
    return d * d;
}

/* The rows from i on, four of them, into sum. Says whether every probability is
 * between 0 and 1. */
static inline bool four(const double *const *p, uint32_t classes, uint32_t i, const int32_t *gold, tm_pair sum[2]) {
    tm_mask in = {-1, -1}, right[2] = {{gold[i], gold[i + 1]}, {gold[i + 2], gold[i + 3]}};
    tm_pair s0 = {0, 0}, s1 = {0, 0};
    for (uint32_t c = 0; c < classes; c++, right[0] -= 1, right[1] -= 1) {
        const double *v = p[c] + i;
        s0 += squares(tm_pair_at(v), right[0] == 0, &in);
        s1 += squares(tm_pair_at(v + 2), right[1] == 0, &in);
    }
    sum[0] = s0, sum[1] = s1;
    return in[0] & in[1];
}

/* Row i alone. */
static inline double square(const double *const *p, uint32_t classes, uint32_t i, int32_t gold, bool *inside) {
    double sum = 0;
    for (uint32_t c = 0; c < classes; c++) {
        double d = p[c][i];
        *inside &= d >= 0 && d <= 1;
        if ((int32_t)c == gold) d -= 1;
        sum += d * d;
    }
    return sum;
}

static scores score(const tm_table *t, const tm_column *label, uint32_t arm, uint32_t classes) {
    tm_column *columns = tm_alloc(classes * sizeof *columns);
    const double **p = tm_alloc(classes * sizeof *p);
    if (!columns || !p) __builtin_trap();
    for (uint32_t c = 0; c < classes; c++) {
        tm_find(t, TM_PROBABILITY, arm, c, &columns[c]);
        p[c] = columns[c].data;
    }
    const int32_t *gold = label->data;
    double *rows = tm_doubles(t->rows), sum = 0;
    uint64_t n = 0;
    bool inside = true;
    for (uint32_t at = 0; at < t->rows && inside; at += 64) {
        uint64_t complete = tm_valid64(label, t->rows, at);
        for (uint32_t c = 0; c < classes; c++) complete &= tm_valid64(&columns[c], t->rows, at);
        n += __builtin_popcountll(complete);
        uint32_t end = t->rows - at < 64 ? t->rows : at + 64;
        for (uint32_t i = at; i < end; complete >>= 4, i += 4) {
            if ((complete & 15) == 15) {
                tm_pair row[2];
                inside &= four(p, classes, i, gold, row);
                tm_pair_to(rows + i, row[0]), tm_pair_to(rows + i + 2, row[1]);
                sum += row[0][0], sum += row[0][1], sum += row[1][0], sum += row[1][1];
                continue;
            }
            for (uint32_t k = 0; k < 4 && i + k < end; k++) {
                rows[i + k] = TM_NAN;
                if (complete >> k & 1) sum += rows[i + k] = square(p, classes, i + k, gold[i + k], &inside);
            }
        }
    }
    return (scores){rows, sum / (double)n, !inside};
}

uint64_t tm_eval(const tm_table *t, tm_results *r) {
    tm_column label;
    if (!tm_find(t, TM_LABEL, TM_SHARED, 0, &label)) return tm_failed("no label");
    scores a = score(t, &label, TM_A, tm_count(t, TM_PROBABILITY, TM_A));
    if (a.wrong) return tm_failed("arm A: a probability is not between 0 and 1");
    tm_scalar(r, "brier.A", a.mean);
    tm_rows(r, "brier_row.A", a.rows);
    uint32_t classes = tm_count(t, TM_PROBABILITY, TM_B);
    if (classes) {
        scores b = score(t, &label, TM_B, classes);
        if (b.wrong) return tm_failed("arm B: a probability is not between 0 and 1");
        tm_scalar(r, "brier.B", b.mean);
        tm_scalar(r, "brier.difference", b.mean - a.mean);
        tm_rows(r, "brier_row.B", b.rows);
    }
    return tm_done(r);
}
