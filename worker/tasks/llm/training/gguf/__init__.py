"""A language model as one GGUF file, which llama.cpp, Ollama and others run.

`architectures.py` knows the models, `vocabulary.py` their tokenizers, `writing.py` puts them into a
file, and `ollama.py` writes a Modelfile for that. Names and keys are those of llama.cpp and its
package `gguf`; what each kind of model needs was read in its converter and its loader (MIT), and is
proven by tests that let llama.cpp itself answer. What nobody has proven is refused, not guessed.
"""
