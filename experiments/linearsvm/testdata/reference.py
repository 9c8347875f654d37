"""Writes reference.json: the margins that scikit-learn gives rows of configs/sample.

python3-sklearn of Debian 12 (scikit-learn 1.2.1), in this folder: /usr/bin/python3 reference.py > reference.json
"""
import json
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

labels = ["ALLOW", "ESCALATION", "DENY", "REFUSE"]
rows = []
for language in "en", "ja":
    with open(f"../../../configs/sample/four_class_sample_{language}.jsonl", encoding="utf-8") as f:
        rows += [json.loads(line) for line in f]
texts = [r["instruction"] + "\n" + r["input"] for r in rows]
of = [labels.index(r["four_class_label"]) for r in rows]
train, test = range(0, len(rows), 2), range(1, len(rows), 20)
vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 5), sublinear_tf=True)
model = LinearSVC(C=1.0, tol=1e-8, max_iter=100000)
model.fit(vectors.fit_transform([texts[i] for i in train]), [of[i] for i in train])
margins = model.decision_function(vectors.transform([texts[i] for i in test]))
print(json.dumps({
    "scikit_learn": sklearn.__version__, "features": len(vectors.vocabulary_),
    "rows": list(test), "margins": [[round(v, 9) for v in m] for m in margins.tolist()],
}))
