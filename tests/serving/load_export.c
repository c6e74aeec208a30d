/* Answers requests to an export by TensorFlow's C API, without Python.

     gcc load_export.c -o load_export -I"$TF/include" -L"$TF" \
         -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 \
         -Wl,-rpath,"$TF"
     echo score examples=1,8,8,1:digit.f32 | ./load_export runs/digits/export/1

   TF is the folder of the installed package tensorflow. The loader is the one
   of TensorFlow Serving.

   A line of standard input is a request: a signature, and NAME=SHAPE:FILE for
   each input. A shape is sizes with commas, nothing for a scalar. A file holds
   the numbers as the machine has them; strings are one file each, separated by
   commas. Each output is answered by a line, NAME SHAPE: VALUES, or the request
   by a line that begins with "error:". An empty line ends an answer. */

#define _GNU_SOURCE

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

enum { MAX_TENSORS = 8, MAX_RANK = 8, MAX_LINE = 1 << 16 };

/* --- Signatures: fields of a serialised MetaGraphDef ---------------------- */

typedef struct {
  const unsigned char *at, *end;
} Bytes;

static uint64_t varint(Bytes *in) {
  uint64_t value = 0;
  for (int shift = 0; in->at < in->end; shift += 7) {
    value |= (uint64_t)(*in->at & 127) << shift;
    if (*in->at++ < 128) break;
  }
  return value;
}

/* Reads one field: its number, and its bytes or its integer. */
static int next_field(Bytes *in, int *number, Bytes *bytes, uint64_t *integer) {
  if (in->at >= in->end) return 0;
  uint64_t key = varint(in), size = 0;
  *number = (int)(key >> 3);
  if ((key & 7) == 0) *integer = varint(in);
  if ((key & 7) == 1) size = 8;
  if ((key & 7) == 2) size = varint(in);
  if ((key & 7) == 5) size = 4;
  if (size > (uint64_t)(in->end - in->at)) size = in->end - in->at;
  *bytes = (Bytes){in->at, in->at + size};
  in->at += size;
  return 1;
}

static int equal(Bytes bytes, const char *text) {
  size_t size = bytes.end - bytes.at;
  return strlen(text) == size && memcmp(bytes.at, text, size) == 0;
}

/* Finds an entry of a map, a message of key (1) and value (2). */
static int find_entry(Bytes in, int field, const char *key, Bytes *value) {
  Bytes entry, part;
  uint64_t unused;
  for (int number; next_field(&in, &number, &entry, &unused);) {
    int found = 0;
    if (number != field) continue;
    for (int one; next_field(&entry, &one, &part, &unused);) {
      if (one == 1) found = equal(part, key);
      if (one == 2) *value = part;
    }
    if (found) return 1;
  }
  return 0;
}

/* Reads a TensorInfo: name (1), such as "score_examples:0", and dtype (2). */
static TF_Output tensor(TF_Graph *graph, Bytes info, TF_DataType *dtype) {
  char name[256] = "";
  Bytes bytes;
  uint64_t integer;
  for (int number; next_field(&info, &number, &bytes, &integer);) {
    if (number == 1)
      snprintf(name, sizeof name, "%.*s", (int)(bytes.end - bytes.at),
               (const char *)bytes.at);
    if (number == 2) *dtype = (TF_DataType)integer;
  }
  char *colon = strrchr(name, ':');
  if (colon) *colon = '\0';
  return (TF_Output){TF_GraphOperationByName(graph, name),
                     colon ? atoi(colon + 1) : 0};
}

/* --- Values --------------------------------------------------------------- */

static size_t read_file(const char *path, char **content) {
  FILE *file = fopen(path, "rb");
  if (!file) return perror(path), exit(1), 0;
  fseek(file, 0, SEEK_END);
  size_t size = ftell(file);
  rewind(file);
  *content = malloc(size + 1);
  size = fread(*content, 1, size, file);
  fclose(file);
  return size;
}

static TF_Tensor *read_tensor(TF_DataType dtype, char *shape, char *files) {
  int64_t sizes[MAX_RANK];
  int rank = 0;
  size_t count = 1;
  for (; *shape && rank < MAX_RANK; shape += *shape == ',')
    count *= sizes[rank++] = strtoll(shape, &shape, 10);
  size_t width =
      dtype == TF_STRING ? sizeof(TF_TString) : TF_DataTypeSize(dtype);
  TF_Tensor *made = TF_AllocateTensor(dtype, sizes, rank, count * width);
  char *content;
  if (dtype == TF_STRING) {
    TF_TString *strings = TF_TensorData(made);
    for (size_t i = 0; i < count; ++i) {
      char *file = strsep(&files, ",");
      size_t size = read_file(file ? file : "", &content);
      TF_StringInit(&strings[i]);
      TF_StringCopy(&strings[i], content, size);
      free(content);
    }
    return made;
  }
  size_t size = read_file(files, &content);
  if (size != count * width) {
    fprintf(stderr, "%s: %zu bytes, expected %zu\n", files, size,
            count * width);
    exit(1);
  }
  memcpy(TF_TensorData(made), content, size);
  free(content);
  return made;
}

static void print_tensor(const char *name, int size, TF_Tensor *t) {
  int64_t count = 1;
  printf("%.*s ", size, name);
  for (int i = 0; i < TF_NumDims(t); ++i) {
    printf(i ? ",%lld" : "%lld", (long long)TF_Dim(t, i));
    count *= TF_Dim(t, i);
  }
  printf(":");
  const void *data = TF_TensorData(t);
  for (int64_t i = 0; i < count; ++i) switch (TF_TensorType(t)) {
      case TF_FLOAT: printf(" %.9g", ((const float *)data)[i]); break;
      case TF_INT32: printf(" %d", ((const int32_t *)data)[i]); break;
      case TF_BOOL: printf(" %d", ((const unsigned char *)data)[i]); break;
      default: printf(" ?");
    }
  printf("\n");
}

/* --- Requests ------------------------------------------------------------- */

static void answer(TF_Session *session, TF_Graph *graph, Bytes meta_graph,
                   char *line, TF_Status *status) {
  TF_Output inputs[MAX_TENSORS], outputs[MAX_TENSORS];
  TF_Tensor *fed[MAX_TENSORS], *fetched[MAX_TENSORS];
  Bytes names[MAX_TENSORS], signature, info, entry, rest, bytes;
  TF_DataType dtype = TF_FLOAT;
  uint64_t unused;
  int ninputs = 0, noutputs = 0;
  char *name = strsep(&line, " ");
  if (!find_entry(meta_graph, 5, name, &signature)) {
    printf("error: no signature %s\n", name);
    return;
  }
  for (char *input; (input = strsep(&line, " ")) && ninputs < MAX_TENSORS;) {
    char *key = strsep(&input, "="), *shape = strsep(&input, ":");
    if (!input || !find_entry(signature, 1, key, &info)) {
      printf("error: no input %s\n", key);
      return;
    }
    inputs[ninputs] = tensor(graph, info, &dtype);
    fed[ninputs++] = read_tensor(dtype, shape, input);
  }
  rest = signature;
  for (int number; next_field(&rest, &number, &entry, &unused);) {
    if (number != 2 || noutputs == MAX_TENSORS) continue;
    for (int one; next_field(&entry, &one, &bytes, &unused);) {
      if (one == 1) names[noutputs] = bytes;
      if (one == 2) outputs[noutputs] = tensor(graph, bytes, &dtype);
    }
    ++noutputs;
  }
  TF_SessionRun(session, NULL, inputs, fed, ninputs, outputs, fetched, noutputs,
                NULL, 0, NULL, status);
  for (int i = 0; i < ninputs; ++i) TF_DeleteTensor(fed[i]);
  if (TF_GetCode(status) != TF_OK) {
    printf("error: %s\n", TF_Message(status));
    return;
  }
  for (int i = 0; i < noutputs; ++i) {
    print_tensor((const char *)names[i].at, names[i].end - names[i].at,
                 fetched[i]);
    TF_DeleteTensor(fetched[i]);
  }
}

int main(int argc, char **argv) {
  static char line[MAX_LINE];
  const char *tags[] = {"serve"};
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_Buffer *meta_graph = TF_NewBuffer();
  TF_SessionOptions *options = TF_NewSessionOptions();
  if (argc != 2) return fprintf(stderr, "usage: %s EXPORT\n", argv[0]), 1;
  TF_Session *session = TF_LoadSessionFromSavedModel(
      options, NULL, argv[1], tags, 1, graph, meta_graph, status);
  if (TF_GetCode(status) != TF_OK)
    return fprintf(stderr, "%s\n", TF_Message(status)), 1;
  const unsigned char *data = meta_graph->data;
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = '\0';
    answer(session, graph, (Bytes){data, data + meta_graph->length}, line,
           status);
    printf("\n");
    fflush(stdout);
  }
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteBuffer(meta_graph);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
