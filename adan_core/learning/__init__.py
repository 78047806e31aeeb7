"""Learning: the environment, the reward, the agent, its training, its judgement and its sealed form."""
