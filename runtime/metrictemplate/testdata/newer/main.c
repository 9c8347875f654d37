#include "triality_metric.h"

TM_DESCRIPTION(@DESCRIPTION@)

enum { MOST = 64 };

static bool same(tm_text a, tm_text b) {
    if (a.size != b.size) return false;
    for (uint32_t i = 0; i < a.size; i++)
        if (a.at[i] != b.at[i]) return false;
    return true;
}

uint64_t tm_eval(const tm_table *t, tm_results *r) {
    tm_column label, topic, p, lists;
    tm_find(t, TM_LABEL, TM_SHARED, 0, &label);
    tm_named(t, TM_EXTRA, TM_SHARED, "topic", &topic);
    for (uint32_t arm = 1; arm <= tm_arms(t); arm++) {
        tm_find(t, TM_PREDICTION, arm, 0, &p);
        tm_find(t, TM_TOKEN_LOGPROB, arm, 0, &lists);
        double right = 0, n = 0, tokens = 0;
        for (uint32_t i = 0; i < t->rows; i++) {
            if (tm_valid(&label, i) && tm_valid(&p, i)) n++, right += tm_i32(&label, i) == tm_i32(&p, i);
            if (tm_valid(&lists, i)) tokens += tm_list(&lists, i).size;
        }
        tm_interval(r, tm_of_arm("rate", arm), right / n, right / n - 1 / n, right / n + 1 / n);
        tm_scalar(r, tm_of_arm("tokens", arm), tokens);
    }
    tm_text *names = tm_alloc(MOST * sizeof *names);
    double *rows = tm_doubles(5 * MOST), *counts = rows + MOST, *all = counts + MOST;
    if (!names) return tm_failed("no room");
    __builtin_memset(rows, 0, 5 * MOST * sizeof *rows);
    uint32_t found = 0;
    tm_find(t, TM_TOKEN_LOGPROB, TM_A, 0, &lists);
    for (uint32_t i = 0; i < t->rows; i++) {
        if (!tm_valid(&topic, i)) continue;
        tm_text name = tm_string(&topic, i);
        uint32_t at = 0;
        while (at < found && !same(names[at], name)) at++;
        if (at == MOST) return tm_failed("too many topics");
        if (at == found) names[found++] = name;
        rows[at]++;
        if (!tm_valid(&lists, i)) continue;
        tm_numbers list = tm_list(&lists, i);
        for (uint32_t j = 0; j < list.size; j++) {
            double v = list.at[j], *sum = &all[3 * at], *low = sum + 1, *high = sum + 2;
            if (counts[at] == 0 || v < *low) *low = v;
            if (counts[at] == 0 || v > *high) *high = v;
            *sum += v;
            counts[at]++;
        }
    }
    for (uint32_t i = 0; i < found; i++) {
        all[3 * i] /= counts[i];
        if (counts[i] == 0) all[3 * i + 1] = all[3 * i + 2] = TM_NAN;
    }
    tm_groups(r, "topic_rows", names, rows, found);
    tm_group_intervals(r, "topic_logprob", names, all, found);
    return tm_done(r);
}
