package search

import (
	"regexp"
	"strings"
)

// What metrics are named in the field. A name is cut into words at what is neither a letter nor a digit, and the
// last word that is known decides: "loss_reduction_rate" says less than "eval/loss".
var (
	lowerWords = regexp.MustCompile(`^(loss|losses|error|errors|err|perplexity|ppl|nll|rmse|mse|mae|mape|msle|wer|cer|ter|fid|ece|mce|brier|latency|seconds|sec|ms|duration|time|difference|diff|divergence|kl|regret|cost|failures|failed|invalid|toxicity|hallucination|overflow|deviation)$`)
	highWords  = regexp.MustCompile(`^(accuracy|acc|f1|fscore|precision|recall|auc|auroc|auprc|roc|ap|map|ndcg|mrr|bleu|rouge|rouge1|rouge2|rougel|meteor|chrf|r2|iou|dice|score|reward|return|kappa|mcc|exact|em|psnr|ssim|throughput|similarity|agreement|coverage|specificity|sensitivity|passed|correct|top1|top5)$`)
	perSecond  = regexp.MustCompile(`per[_ ]?(s|sec|second)$|(it|samples|tokens|rows)[_/]s$`)
	wordBounds = regexp.MustCompile(`[^a-z0-9]+`)
)

// DirectionOf is a metric's direction by how such metrics are named in the field.
func DirectionOf(name string) Direction {
	name = strings.ToLower(name)
	if perSecond.MatchString(name) {
		return Higher
	}
	words := wordBounds.Split(name, -1)
	for i := len(words) - 1; i >= 0; i-- {
		switch {
		case lowerWords.MatchString(words[i]):
			return Lower
		case highWords.MatchString(words[i]):
			return Higher
		}
	}
	return Unknown
}
