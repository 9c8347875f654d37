// Package query is the language of searches over runs: filters, orders and keys, read into trees. What a tree
// means to a run is package search's.
//
//	filter  = { term [AND] | OR | NOT | ( filter ) }     nothing between two terms is AND; OR binds least
//	term    = key op value | key [NOT] IN (value, …) | key [NOT] LIKE value | key [NOT] ILIKE value |
//	          key IS [NOT] NULL | word | "phrase"
//	key     = [kind.]name | fold([metrics.]name)
//	kind    = metrics | params | tags | attributes (also metric, param, parameter, tag, attribute, attr, run)
//	fold    = last | min | max | best | mean | count
//	op      = = != < <= > >= (also == and <>)
//
// A name, word or value ends at a space, a parenthesis, a comma or an operator. One that holds such a character,
// or is a word of the language, is put in quotes: ' " or `, whose own kind is doubled inside. Words of the
// language, kinds and folds are read in any case. MLflow's filters are a part of this language.
package query
