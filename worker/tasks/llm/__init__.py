"""Language models: causal language modelling and supervised fine-tuning."""
