"""The published WCAE autoencoder and its twin without wavelets: a baseline."""
