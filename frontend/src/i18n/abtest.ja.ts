// A/B ページの日本語の文。abtest.en.ts と同じキーを持つ。
import type { enABTest } from './abtest.en.ts';

export const jaABTest: Record<keyof typeof enABTest, string> = {
  'ab.accuracyBars': '正解率',
  'ab.asTable': '表で見る',
  'ab.comma': '、',
  'ab.deltaPoints': 'B − A(ポイント)',
  'ab.done.finetuned': 'ファインチューニング済み',
  'ab.done.untouched': '元のまま',
  'ab.folder': 'フォルダー:',
  'ab.group': 'グループ',
  'ab.byGroup': '言語別・分野別',
  'ab.groupsHow': '行数だけを示し、区間は示しません。判定は上の、すべての行をまとめた数値によります。',
  'ab.mcnemarP': 'マクネマー検定の p',
  'ab.moreGroups': 'ほか {count} グループは表示していません。',
  'ab.noGroups': '言語と分野が一つだけか、記録されていません。',
  'ab.noProbabilities': '結果に確率がありません。',
  'ab.reliability': '信頼度',
  'ab.reliabilityOf': '確信度ごとの正解の割合。較正誤差(ECE): A {a}、B {b}',
  'modules.tryUnknown': '新しい実行のうち調べたものには A/B テストがありません。ほかの {count} 件は調べていません。A/B ページを開いて試せます。',
};
