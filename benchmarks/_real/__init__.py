"""Real data, and what stands beside a model that learns from it: small models, plain baselines."""
