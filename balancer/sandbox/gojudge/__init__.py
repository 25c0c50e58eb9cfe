"""The executor for go-judge servers."""
