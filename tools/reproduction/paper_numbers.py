"""The paper's AUROCs, which are printed beside ours."""


def _rows(text: str) -> dict[str, tuple[float, ...]]:
    """Read lines of a name and numbers."""
    rows = [line.split() for line in text.strip().splitlines()]
    return {name: tuple(map(float, values)) for name, *values in rows}


# Tables 1 and 3: MNIST with the digits 0 to 9 held out.
TABLE1 = _rows("""
NAE-OMI  .989 .919 .992 .949 .949 .978 .938 .975 .929 .934
NAE-CD   .799 .098 .878 .769 .656 .806 .874 .537 .876 .500
NAE-PCD  .745 .114 .879 .754 .690 .813 .872 .509 .902 .544
AE       .819 .131 .843 .734 .661 .755 .844 .542 .902 .537
DAE      .769 .124 .872 .935 .884 .793 .865 .533 .910 .625
VAE(R)   .954 .391 .978 .910 .860 .939 .916 .774 .946 .721
VAE(L)   .967 .326 .976 .906 .798 .927 .928 .751 .935 .614
WAE      .817 .145 .975 .950 .751 .942 .853 .912 .907 .799
DAGMM    .386 .304 .407 .435 .444 .429 .446 .349 .609 .420
VQVAE    .937 .272 .915 .807 .673 .807 .892 .643 .816 .596
GANomaly .418 .676 .479 .750 .591 .615 .480 .546 .551 .427
IGEBM    .926 .401 .642 .644 .664 .752 .851 .572 .747 .522
Glow     .803 .014 .624 .625 .364 .561 .583 .326 .721 .426
PixelCNN++ .757 .030 .663 .663 .483 .642 .596 .307 .810 .497
""")

# Table 2: CIFAR-10 against ConstantGray, Fashion-MNIST, SVHN, CelebA, Noise.
TABLE2 = _rows("""
NAE-OMI .963 .819 .920 .887 1.0
AE      .006 .650 .175 .655 1.0
DAE     .001 .671 .175 .669 1.0
VAE(R)  .002 .700 .191 .662 1.0
VAE(L)  .002 .767 .185 .684 1.0
WAE     .000 .649 .168 .652 1.0
Glow    .384 .222 .260 .419 1.0
PixelCNN++ .000 .013 .074 .639 1.0
IGEBM   .192 .216 .371 .477 1.0
""")

# Table 4: MNIST against ConstantGray, HalfMNIST, ChimeraMNIST, Omniglot, Noise.
TABLE4 = _rows("""
NAE-OMI 1.00 .999 .992 .995 1.00
AE      .934 .523 .761 .885 1.00
IGEBM   1.00 .986 .948 .946 1.00
Glow    1.00 .948 .445 .653 1.00
PixelCNN++ .982 .154 .334 .665 1.00
""")

# Table 6: digit 9 held out; epochs of pre-training, AE's AUROC, NAE's.
TABLE6 = _rows("""
0   .486 .552
10  .581 .754
50  .539 .945
100 .532 .937
150 .548 .914
200 .537 .919
""")

# Table 7: digit 9 held out; NAE's AUROC by the number of the setting.
TABLE7 = _rows("""
1 .957
2 .839
3 .944
4 .936
5 .952
6 .662
""")

# Table 8: digit 9 held out; latent dimension, AE's AUROC, NAE's.
TABLE8 = _rows("""
2   .626 .591
4   .748 .550
8   .825 .723
16  .614 .911
32  .525 .926
64  .506 .884
128 .546 .830
256 .556 .732
""")
