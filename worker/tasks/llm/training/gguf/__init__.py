"""A language model as one GGUF file, which llama.cpp, Ollama and others run.

`architectures.py` knows the models, `vocabulary.py` their tokenizers, `quantities.py` the types of
numbers, `writing.py` puts them into a file. Names and keys are those of llama.cpp and its package
`gguf`; what each kind of model needs was read in its converter and its loader (MIT), and is proven
by tests that let llama.cpp itself answer. What nobody has proven is refused, not guessed.
"""
