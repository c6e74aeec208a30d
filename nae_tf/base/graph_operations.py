"""Operations that a SavedModel of this package may have, and no others.

A graph is data, but some operations read and write files, open connections or
call Python. A list of these would be out of date with every release of
TensorFlow. So here is the list of the others: what networks of Keras's layers,
their gradients, Langevin chains, the checks of input and the decoding of images
are made of. Each of them computes its outputs from its inputs and from
variables, and does nothing else.
"""

import re
from collections.abc import Iterator

_ALLOWED = """
# Values and their shapes.
BatchToSpaceND Bitcast BroadcastArgs BroadcastGradientArgs BroadcastTo Cast
CheckNumerics ConcatV2 Const DynamicPartition DynamicStitch EnsureShape
ExpandDims Fill GatherNd GatherV2 Identity IdentityN InvertPermutation MirrorPad
MirrorPadGrad NoOp OneHot OnesLike Pack Pad PadV2 ParallelDynamicStitch
Placeholder PlaceholderWithDefault PreventGradient Range Rank Reshape
ResourceGather ResourceGatherNd ReverseSequence ReverseV2 Roll ScatterNd Shape
ShapeN Size Slice SpaceToBatchND Split SplitV Squeeze StopGradient StridedSlice
StridedSliceGrad TensorScatterAdd TensorScatterMax TensorScatterMin
TensorScatterSub TensorScatterUpdate Tile Transpose Unpack Where ZerosLike
# Arithmetic, element by element.
Abs Acos Acosh Add AddN AddV2 Angle Asin Asinh Atan Atan2 Atanh BitwiseAnd
BitwiseOr BitwiseXor Ceil ClipByValue Complex ComplexAbs Conj Cos Cosh Digamma
Div DivNoNan Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod Imag Inv InvGrad
Invert IsFinite IsInf IsNan LeftShift Lgamma Log Log1p Maximum Minimum Mod Mul
MulNoNan Ndtri Neg NextAfter Pow Real RealDiv Reciprocal ReciprocalGrad
RightShift Rint Round Rsqrt RsqrtGrad Sigmoid SigmoidGrad Sign Sin Sinh Sqrt
SqrtGrad Square SquaredDifference Sub Tan Tanh TanhGrad TruncateDiv TruncateMod
Xdivy Xlog1py Xlogy
# Comparison, selection, reduction.
All Any ApproximateEqual ArgMax ArgMin Bincount Bucketize Cumprod Cumsum
CumulativeLogsumexp DenseBincount Equal Greater GreaterEqual InTopKV2 Less
LessEqual LogicalAnd LogicalNot LogicalOr LowerBound Max Mean Min NotEqual Prod
SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum Select SelectV2 Sum
TopKV2 Unique UniqueV2 UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd
UnsortedSegmentSum UpperBound
# Linear algebra and Fourier transforms.
BatchMatMul BatchMatMulV2 BatchMatMulV3 Cholesky CholeskyGrad Cross Einsum FFT
FFT2D FFT3D IFFT IFFT2D IFFT3D IRFFT IRFFT2D IRFFT3D L2Loss LogMatrixDeterminant
Lu MatMul MatrixBandPart MatrixDeterminant MatrixDiag MatrixDiagPart
MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixInverse
MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MatrixSolve MatrixTriangularSolve
Qr RFFT RFFT2D RFFT3D SelfAdjointEigV2 Svd
# Layers of networks and their gradients.
AvgPool AvgPool3D AvgPool3DGrad AvgPoolGrad BiasAdd BiasAddGrad BiasAddV1 Conv
Conv2D Conv2DBackpropFilter Conv2DBackpropInput Conv3D Conv3DBackpropFilterV2
Conv3DBackpropInputV2 DepthToSpace DepthwiseConv2dNative
DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput Elu
EluGrad FusedBatchNormGradV3 FusedBatchNormV3 LRN LRNGrad LeakyRelu
LeakyReluGrad LogSoftmax MaxPool MaxPool3D MaxPool3DGrad MaxPool3DGradGrad
MaxPoolGrad MaxPoolGradGrad Relu Relu6 Relu6Grad ReluGrad Selu SeluGrad Softmax
SoftmaxCrossEntropyWithLogits Softplus SoftplusGrad Softsign SoftsignGrad
SpaceToDepth SparseSoftmaxCrossEntropyWithLogits
# Images, also from the bytes of a file that a request brings.
AdjustContrastv2 AdjustHue AdjustSaturation DecodeImage DecodeJpeg DecodePng
DecodeRaw ExtractImagePatches ExtractJpegShape HSVToRGB RGBToHSV ResizeArea
ResizeBicubic ResizeBicubicGrad ResizeBilinear ResizeBilinearGrad
ResizeNearestNeighbor ResizeNearestNeighborGrad ScaleAndTranslate
ScaleAndTranslateGrad
# Images of a batch, decoded one by one so that a bad one stays alone.
ConcatenateDataset DatasetToSingleElement IgnoreErrorsDataset MapDataset
TakeDataset TensorDataset
# Control flow, and lists of what it goes through.
Assert Case EmptyTensorList If PartitionedCall StatefulPartitionedCall
StatelessCase StatelessIf StatelessWhile TensorListConcatV2
TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem
TensorListLength TensorListPopBack TensorListPushBack TensorListReserve
TensorListResize TensorListSetItem TensorListSplit TensorListStack While
# Random numbers.
Multinomial RandomGamma RandomShuffle RandomStandardNormal RandomUniform
RandomUniformInt RngReadAndSkip StatelessMultinomial StatelessRandomBinomial
StatelessRandomGammaV2 StatelessRandomGammaV3 StatelessRandomGetAlg
StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg
StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomUniform
StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2
StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomUniformV2
StatelessShuffle StatelessTruncatedNormal StatelessTruncatedNormalV2
TruncatedNormal
# Texts of the checks.
AsString StaticRegexFullMatch StringFormat StringJoin StringLength Substr
# Variables.
AssignAddVariableOp AssignSubVariableOp AssignVariableOp DisableCopyOnRead
ReadVariableOp ResourceScatterAdd ResourceScatterUpdate VarHandleOp
VarIsInitializedOp VariableShape
"""
ALLOWED = frozenset(re.sub("#.*", "", _ALLOWED).split())
# A server restores the variables by two functions, which every SavedModel has.
# Python restores them by itself. They may be called for nothing else.
_OF_SAVERS = frozenset(
    ["MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"]
)


def refused_operations(meta_graph) -> list[str]:
    """List the operations of a graph and its functions that are not allowed.

    Args:
        meta_graph: `MetaGraphDef` of a SavedModel.

    Returns:
        Their names, sorted. "SaveV2" and its like are among them unless they
        are in functions that nothing but the saver of the graph calls.

    Example:
        >>> from tensorflow.core.protobuf import meta_graph_pb2
        >>> from nae_tf.base.graph_operations import refused_operations
        >>> meta_graph = meta_graph_pb2.MetaGraphDef()
        >>> for operation in ("MatMul", "WriteFile"):
        ...     node = meta_graph.graph_def.node.add(op=operation)
        >>> refused_operations(meta_graph)
        ['WriteFile']
    """
    graph = meta_graph.graph_def
    savers, saving_nodes = _savers(meta_graph)
    refused = {node.op for node in graph.node} - ALLOWED
    called = {
        name
        for node in graph.node
        if node.name not in saving_nodes
        for name in _called(node)
    }
    called |= set(meta_graph.object_graph_def.concrete_functions)
    for function in graph.library.function:
        operations = {node.op for node in function.node_def}
        called |= {name for node in function.node_def for name in _called(node)}
        if function.signature.name in savers:
            operations -= _OF_SAVERS
        refused |= operations - ALLOWED
    for gradient in graph.library.gradient:
        called |= {gradient.function_name, gradient.gradient_func}
    if savers & called:
        refused |= {
            node.op
            for function in graph.library.function
            if function.signature.name in savers & called
            for node in function.node_def
        } & _OF_SAVERS
    return sorted(refused)


def _savers(meta_graph) -> tuple[set[str], set[str]]:
    """The functions of the saver, and the nodes that call them."""
    saver = meta_graph.saver_def
    nodes = {
        # A tensor is named as a node, a colon and a number.
        re.sub(r":\d+$", "", name)
        for name in (saver.save_tensor_name, saver.restore_op_name)
    }
    functions = {
        name
        for node in meta_graph.graph_def.node
        if node.name in nodes
        for name in _called(node)
    }
    return functions, nodes


def _called(node) -> Iterator[str]:
    """Names of the functions that a node calls."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name
