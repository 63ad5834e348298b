"""The published 3DM-WeConvene system."""
