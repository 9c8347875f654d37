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

/* The rows i and i + 1, each with gold class and probabilities. inside is true
 * where all of them are between 0 and 1. */
static inline tm_pair squares(const double *const *p, uint32_t classes, uint32_t i, const int32_t *gold, tm_mask *inside) {
    tm_pair sum = {0, 0};
    tm_mask in = {-1, -1}, right = {gold[i], gold[i + 1]};
    for (uint32_t c = 0; c < classes; c++, right -= 1) {
        tm_pair d = tm_pair_at(p[c] + i);
        in &= d >= 0 & d <= 1;
        d -= (tm_pair)((tm_mask)(tm_pair){1, 1} & (right == 0));
        sum += d * d;
    }
    *inside = in;
    return sum;
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
        for (uint32_t i = at; i < end; complete >>= 2, i += 2) {
            if ((complete & 3) == 3) {
                tm_mask in;
                tm_pair row = squares(p, classes, i, gold, &in);
                inside &= in[0] & in[1];
                rows[i] = row[0], rows[i + 1] = row[1];
                sum += row[0], sum += row[1];
                continue;
            }
            for (uint32_t k = 0; k < 2 && i + k < end; k++) {
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
