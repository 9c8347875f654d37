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

static scores score(const tm_table *t, const tm_column *label, uint32_t arm, uint32_t classes) {
    tm_column *p = tm_alloc(classes * sizeof *p);
    if (!p) __builtin_trap();
    for (uint32_t c = 0; c < classes; c++) tm_find(t, TM_PROBABILITY, arm, c, &p[c]);
    scores s = {tm_doubles(t->rows), 0, false};
    double sum = 0, n = 0;
    for (uint32_t i = 0; i < t->rows; i++) {
        s.rows[i] = TM_NAN;
        if (!tm_valid(label, i)) continue;
        uint32_t gold = tm_i32(label, i), c = 0;
        double row = 0;
        for (; c < classes && tm_valid(&p[c], i); c++) {
            double d = tm_f64(&p[c], i);
            if (!(d >= 0 && d <= 1)) {
                s.wrong = true;
                return s;
            }
            if (c == gold) d -= 1;
            row += d * d;
        }
        if (c < classes) continue;
        s.rows[i] = row;
        sum += row;
        n += 1;
    }
    s.mean = sum / n;
    return s;
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
