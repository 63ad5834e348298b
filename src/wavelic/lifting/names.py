"""Names of the codec's lifting structures, which its weights and files are stored under."""

#: The structure of the codec's weights.
HYBRID = "Hybrid(9/7)-U16"
#: Base wavelet -> name of the structure without learned steps.
PLAIN_STRUCTURES = {"5/3": "LeGall-5/3", "9/7": "CDF-9/7"}
