"""Applications of `wavelic.nn.WaveletConv`: published networks with the layer, and with a twin without wavelets.

3DM-WeConvene, section IV-G, calls its layer a universal tool and shows four applications.  Here each of them is a
folder: ``network.py`` is the network, ``task.py`` data, loss, score and recipes; `applications.video` has a file
format besides.  ``python -m applications.run NAME`` trains; docs/applications.md has what came out.
"""
