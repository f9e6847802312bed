"""What programs ask hubtrain for, and what they are told: typed requests, typed answers.

The verbs are functions from a request to a document, over `flow` and the records of jobs; nothing
here prints, and nothing knows how a request came. HTTP, MCP and `hubtrain.Client` carry them;
`--json` prints the same documents. To add a verb, write a function in `verbs`.
"""
