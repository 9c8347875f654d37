"""Writes reference.json: figures of package inference by another route.

python3-scipy and python3-statsmodels of Debian 12 (SciPy 1.10.1, statsmodels 0.13.5):
/usr/bin/python3 reference.py > reference.json
"""
import json, sys
import numpy as np
import scipy
from scipy import optimize, stats
import statsmodels
import statsmodels.api as sm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

rng = np.random.default_rng(20261130)
out = {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__}


def student(p, df):
    """SciPy's quantile, which is good to nine digits, and two steps of Newton's."""
    q = stats.t.ppf(p, df)
    for _ in range(2):
        q -= (stats.t.cdf(q, df) - p) / stats.t.pdf(q, df)
    return float(q)


def clusters(n, k):
    if k == 1:
        return list(range(n))
    ids, c = [], 0
    while len(ids) < n:
        ids += [c] * int(rng.integers(1, 2 * k))
        c += 1
    return ids[:n]


def robust(d, cl):
    """Standard errors of the mean: robust to clusters, and classical."""
    d, x = np.asarray(d, float), np.ones(len(d))
    a = sm.OLS(d, x).fit(cov_type="cluster", cov_kwds={"groups": np.asarray(cl)})
    return float(a.bse[0]), float(sm.OLS(d, x).fit().bse[0])


def tango(only_b, only_a, n, z):
    """Score interval of the paired difference, its nuisance share by numerical maximum likelihood."""

    def statistic(delta):
        def loss(q):  # q: share that A alone meets; q + delta: that B alone
            rest = 1 - 2 * q - delta
            if q < 0 or q + delta < 0 or rest < 0:
                return 1e300
            f = 0.0
            for count, p in ((only_a, q), (only_b, q + delta), (n - only_a - only_b, rest)):
                if count > 0:
                    f -= count * np.log(max(p, 1e-300))
            return f

        low, high = max(0.0, -delta), (1 - delta) / 2
        got = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13})
        q = min([got.x, low, high], key=loss)
        v = n * (2 * q + delta * (1 - delta))
        return (only_b - only_a - n * delta) / np.sqrt(max(v, 1e-300))

    def edge(target):
        f = lambda d: np.clip(statistic(d), -1e6, 1e6) - target
        lo, hi = -1 + 1e-9, 1 - 1e-9
        if f(lo) < 0:
            return -1.0
        if f(hi) > 0:
            return 1.0
        return optimize.brentq(f, lo, hi, xtol=1e-12)

    return edge(z), edge(-z)


def case(n, k, pa, pb):
    cl = clusters(n, k)
    a, b = rng.random(n) < pa, rng.random(n) < pb
    d = b.astype(int) - a.astype(int)
    m = len(set(cl))
    sums = np.bincount(cl, weights=d)
    only_b, only_a = int((d > 0).sum()), int((d < 0).sum())
    c = {"a": a.tolist(), "b": b.tolist(), "clusters": cl, "only_a": only_a, "only_b": only_b}
    se, classical = robust(d, cl)
    degenerate = m == n or classical < 1e-12 or se < 1e-12
    size = np.bincount(cl)
    eff = n if m == n else (n * n / float((size**2).sum()) if degenerate else n * (classical / se) ** 2)
    df = np.inf if m == n else m - 1
    z = float(stats.norm.ppf(0.975) if np.isinf(df) else student(0.975, df))
    c["effective"] = float(eff)
    low, high = tango(only_b * eff / n, only_a * eff / n, eff, z)
    c["tango"] = [low, high]
    eb, ea = only_b * eff / n, only_a * eff / n
    t0 = (eb - ea) / np.sqrt(eb + ea) if eb + ea > 0 else 0.0
    c["score_p"] = float(2 * (stats.norm.sf(abs(t0)) if np.isinf(df) else stats.t.sf(abs(t0), df)))
    # The exact test: all assignments of signs to the clusters that are not 0.
    s = sums[sums != 0]
    if len(s) == 0:
        c["flip_p"] = 1.0
    elif len(s) <= 14:
        r = stats.permutation_test((s,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False) if len(s) > 1 else None
        all_sums = np.array([0.0])
        for v in np.abs(s):
            all_sums = np.concatenate([all_sums + v, all_sums - v])
        c["flip_p"] = float(np.mean(np.abs(all_sums) >= abs(s.sum()) - 1e-9))
        if r is not None:
            c["scipy_permutation_p"] = float(min(1, r.pvalue))
    elif m == n:
        c["flip_p"] = float(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue)
    p = float(b.mean())
    e2, c2 = robust(b.astype(float), cl)
    deg2 = m == n or c2 < 1e-12 or e2 < 1e-12
    eff2 = n if m == n else (n * n / float((size**2).sum()) if deg2 else n * (c2 / e2) ** 2)
    # statsmodels' interval takes the normal's quantile of alpha: give it the alpha whose quantile is ours.
    lo, hi = proportion_confint(p * eff2, eff2, alpha=2 * stats.norm.sf(z), method="wilson")
    c["wilson_b"] = [float(lo), float(hi)]
    return c


out["shares"] = [
    case(n, k, pa, pb)
    for n, k, pa, pb in [
        (5, 1, 0.0, 1.0), (5, 1, 1.0, 1.0), (6, 2, 0.5, 0.6), (20, 1, 0.4, 0.7), (20, 2, 0.4, 0.7), (20, 5, 0.3, 0.6),
        (50, 1, 0.5, 0.6), (50, 2, 0.5, 0.8), (50, 5, 0.9, 0.5), (200, 1, 0.6, 0.7), (200, 2, 0.6, 0.7), (200, 5, 0.24, 0.47),
        (1000, 1, 0.8, 0.82), (1000, 5, 0.8, 0.85),
    ]
]

out["means"] = []
for n, k in [(10, 1), (30, 2), (200, 5)]:
    cl = clusters(n, k)
    a = rng.gamma(0.7, 1.0, n)
    b = a * rng.uniform(0.5, 1.2, n)
    d = b - a
    se, _ = robust(d, cl)
    m = len(set(cl))
    t = student(0.975, m - 1)
    out["means"].append({"a": a.tolist(), "b": b.tolist(), "clusters": cl, "se": se,
                         "low": float(d.mean() - t * se), "high": float(d.mean() + t * se),
                         "t_p": float(2 * stats.t.sf(abs(d.mean() / se), m - 1))})

# Sign flips of sums that are no whole numbers, all counted.
s = rng.normal(0.4, 1, 12)
r = stats.permutation_test((s,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False)
out["flip"] = {"sums": s.tolist(), "p": float(r.pvalue)}

p = [0.001, 0.04, 0.03, 0.5, 0.04, 0.9, 0.0125]
out["holm"] = {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()}


def macro_f1(gold, guess):
    f = []
    for k in range(4):
        support, guesses = (gold == k).sum(), (guess == k).sum()
        if support + guesses:
            f.append(2 * ((gold == k) & (guess == k)).sum() / (support + guesses))
    return float(np.mean(f))


gold, cl = rng.integers(0, 4, 60), np.array(clusters(60, 3))
a = np.where(rng.random(60) < 0.5, gold, rng.integers(0, 4, 60))
b = np.where(rng.random(60) < 0.7, gold, rng.integers(0, 4, 60))
left = [macro_f1(gold[cl != c], b[cl != c]) - macro_f1(gold[cl != c], a[cl != c]) for c in sorted(set(cl))]
m = len(left)
out["macro_f1"] = {"gold": gold.tolist(), "a": a.tolist(), "b": b.tolist(), "clusters": cl.tolist(),
                   "delta": macro_f1(gold, b) - macro_f1(gold, a),
                   "jackknife_se": float(np.sqrt((m - 1) / m * ((np.array(left) - np.mean(left)) ** 2).sum()))}

# Power of the exact test by adding up every outcome.
out["power"] = []
for n, psi, delta, alpha in [(30, 0.4, 0.2, 0.05), (100, 0.3, 0.1, 0.05), (264, 0.5, 0.12, 0.05), (264, 0.3, 0.05, 0.01)]:
    total = 0.0
    for d in range(1, n + 1):
        k = np.arange(d + 1)
        pv = np.minimum(1, 2 * stats.binom.cdf(np.minimum(k, d - k), d, 0.5))
        reject = (pv < alpha) & (k > d / 2)
        total += stats.binom.pmf(d, n, psi) * stats.binom.pmf(k, d, (psi + delta) / 2 / psi)[reject].sum()
    out["power"].append({"n": n, "discordant": psi, "delta": delta, "alpha": alpha, "power": float(total)})

# Betting: the mixture of constant bets, by multiplying it out.
d = rng.choice([-1, 0, 0, 1, 1], size=(40, 2)).sum(axis=1)
bets = [0.99 / 2 ** (j / 2) for j in range(100) if 0.99 / 2 ** (j / 2) > 0.01]
above = float(np.mean([np.prod(1 + l * (d / 2.0 - 0.1) / 1.1) for l in bets]))
below = float(np.mean([np.prod(1 - l * (d / 2.0 - 0.1)) for l in bets]))
f = lambda delta: np.mean([np.prod(1 + l * (d / 2.0 - delta) / (1 + max(0, delta))) for l in bets]) - 40
out["betting"] = {"sums": d.tolist(), "null": 0.1, "above": above, "below": below, "low": float(optimize.brentq(f, -1, 1))}

json.dump(out, sys.stdout)
