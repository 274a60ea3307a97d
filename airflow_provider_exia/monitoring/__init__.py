"""How a model is judged: scores, the policy, and the gate between champion and challenger."""
