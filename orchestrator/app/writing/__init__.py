"""The page on which a job is written, but for gradio: what it shows, and what it answers.

`sheet` holds the draft of one open page and answers what its browser says; `drawn`, `parts` make
the HTML; `sheet.js` sends what is typed and puts in place what comes back. What a draft is, how it
is read and checked is in `orchestrator.form`.
"""
