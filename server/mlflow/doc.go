// Package mlflow answers the tracking part of MLflow's REST API over the store, so that a run that an MLflow client
// logs and a run that was made here are the same thing on the same pages. docs/mlflow.md lists every endpoint and its
// state.
//
// What MLflow calls deleted is archived here: it is left out of lists and searches and can be restored. Three of
// MLflow's tags are properties of a run: mlflow.runName is its name, mlflow.note.content its notes and
// mlflow.parentRunId its parent. Source: https://mlflow.org/docs/latest/rest-api.html.
package mlflow
