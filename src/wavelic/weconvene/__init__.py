"""The default codec: 9/7 wavelets with learned corrections and an integer-exact context model."""
