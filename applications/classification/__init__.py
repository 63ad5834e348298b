"""Image classification: ResNet on CIFAR-100, with and without wavelet layers."""
