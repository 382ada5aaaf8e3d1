"""Teams that learn action values from replay: independent Q-learning, VDN and QMIX."""
