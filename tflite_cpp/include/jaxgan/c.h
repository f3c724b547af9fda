/* The library as C: for other languages, which bind it without knowing C++.
 *
 *   jaxgan_generator* generator = NULL;
 *   jaxgan_error error;
 *   if (jaxgan_open("generator.tflite", NULL, &generator, &error) != JAXGAN_OK) {
 *     fprintf(stderr, "%s\n", error.message);
 *   }
 *
 * Every function that can fail returns a status, and writes one line of why to `error`, which may be
 * null. Nothing is written to any other output then. No function throws, prints, or ends the process;
 * LiteRT writes one line of its own to stderr when the first model is opened.
 * Threads: as generator.h has it for a Generator; there is no state outside of what is opened.
 * Text is UTF-8 and ends in a zero. What a function returns a pointer to belongs to the handle that
 * it was asked of, and is gone when that is closed.
 */
#ifndef JAXGAN_C_H
#define JAXGAN_C_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define JAXGAN_API __declspec(dllexport)
#else
#define JAXGAN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when a function or field changes its meaning; a binding compares it before all else. */
#define JAXGAN_C_VERSION 2
JAXGAN_API int32_t jaxgan_c_version(void);

/* The exit codes of jaxgan-generate. */
typedef int32_t jaxgan_status;
enum {
  JAXGAN_OK = 0,
  JAXGAN_FAULT = 1,   /* a fault of the library itself */
  JAXGAN_USAGE = 2,   /* wrong arguments or options */
  JAXGAN_MODEL = 3,   /* a file is no generator, or does not run */
  JAXGAN_RUNTIME = 4, /* the runtime library is missing or too old */
  JAXGAN_OUTPUT = 5   /* out of memory */
};

typedef struct jaxgan_error {
  char message[1024]; /* one line, cut if it is longer */
} jaxgan_error;

/* --- A generator. */

typedef struct jaxgan_generator jaxgan_generator;

/* Null in place of it: one thread, a silent runtime, the library that the rpath leads to. */
typedef struct jaxgan_options {
  int32_t threads; /* that run the model, 1 to 1024 */
  int32_t verbose; /* not 0: the runtime may log to stderr */
  const char* runtime; /* file of the runtime library; null or empty: found by the rpath */
} jaxgan_options;

typedef struct jaxgan_info {
  int32_t height, width, channels; /* of an image; channels: 1 grey, 3 RGB, 4 RGBA */
  int32_t latent_size;
  int32_t classes; /* 0: takes no labels */
  size_t bytes;    /* of the file */
  double load_seconds, compile_seconds;
} jaxgan_info;

typedef struct jaxgan_tensor {
  const char* name;
  const char* type; /* float32, int32 */
  size_t rank;
  const int32_t* dimensions;
} jaxgan_tensor;

typedef struct jaxgan_signature {
  const char* name; /* generate_1, generate_64, between_1 */
  size_t input_count;
  const jaxgan_tensor* inputs;
  size_t output_count;
  const jaxgan_tensor* outputs;
} jaxgan_signature;

/* Whether a file's bytes are of the kind that convert_tflite.py writes, which alone a runtime may be
 * given (see src/verify.h). `name` stands for the file in messages. */
JAXGAN_API jaxgan_status jaxgan_verify(const void* content, size_t size, const char* name,
                                       jaxgan_error* error);

/* Opens a file, or a copy of the bytes of one. */
JAXGAN_API jaxgan_status jaxgan_open(const char* path, const jaxgan_options* options,
                                     jaxgan_generator** generator, jaxgan_error* error);
JAXGAN_API jaxgan_status jaxgan_open_content(const void* content, size_t size, const char* name,
                                             const jaxgan_options* options,
                                             jaxgan_generator** generator, jaxgan_error* error);
JAXGAN_API void jaxgan_close(jaxgan_generator* generator); /* null: nothing */

JAXGAN_API jaxgan_info jaxgan_describe(const jaxgan_generator* generator);
JAXGAN_API const jaxgan_signature* jaxgan_signatures(const jaxgan_generator* generator,
                                                     size_t* count);
/* An entry of the metadata, such as "dataset" or "class_names" (one a line), and its length; null if there is none. */
JAXGAN_API const char* jaxgan_metadata(jaxgan_generator* generator, const char* name, size_t* size);
/* The SHA-256 of the file, 64 lower-case hexadecimal digits. */
JAXGAN_API const char* jaxgan_sha256(jaxgan_generator* generator);
/* The name and file of the runtime: "LiteRT, /path/libLiteRt.so". */
JAXGAN_API jaxgan_status jaxgan_runtime(const jaxgan_options* options, char* text, size_t size,
                                        jaxgan_error* error);

/* Draws `count` images, float32 [count, height, width, channels] in [-1, 1]; of 4 channels, the
 * colours are premultiplied by the alpha. `latents` is float32
 * [count, latent_size], `labels` int32 [count], null for a model without classes. Exactly as many
 * images as a signature generate_N has rows are drawn by that signature. */
JAXGAN_API jaxgan_status jaxgan_draw(jaxgan_generator* generator, const float* latents,
                                     const int32_t* labels, size_t count, float* images,
                                     jaxgan_error* error);
/* The same between two classes: `weights` float32 [count] from 0 (labels) to 1 (target_labels). */
JAXGAN_API jaxgan_status jaxgan_draw_between(jaxgan_generator* generator, const float* latents,
                                             const int32_t* labels, const int32_t* target_labels,
                                             const float* weights, size_t count, float* images,
                                             jaxgan_error* error);
/* Values [pixels, channels] in [-1, 1] as levels 0 to 255, rounded to the nearest; not a number is 0.
 * Of 4 channels, premultiplied RGBA becomes straight RGBA, as a PNG has it. */
JAXGAN_API void jaxgan_to_levels(const float* values, size_t pixels, size_t channels,
                                 uint8_t* levels);

/* --- What to draw. */

/* Latent vectors of images `indices[i]` of `seeds[i]`, float32 [count, size]; truncation 0: none. */
JAXGAN_API void jaxgan_latents(const uint32_t* seeds, const uint32_t* indices, size_t count,
                               size_t size, double truncation, float* latents);

/* The options of jaxgan-generate of the same names, as text; null where one is not given. */
typedef struct jaxgan_sampling {
  const char* seed;        /* "7" */
  const char* count;       /* "80" */
  const char* seeds;       /* "0-35" or "1,5,9-12" */
  const char* label;       /* "3", "3,1,4" or "cat,dog" */
  const char* latents;     /* an .npy file */
  const char* truncation;  /* "0.7" */
  const char* interpolate; /* "8" */
} jaxgan_sampling;

typedef struct jaxgan_sample jaxgan_sample;

typedef struct jaxgan_sample_view {
  size_t count;         /* images */
  const float* latents; /* [count, latent_size] */
  const int32_t* labels, *target_labels; /* [count]; null for a model without classes */
  const float* weights;                  /* [count]; null for a model without classes */
  size_t columns; /* of their grid, unless --columns says another */
  size_t text_count;
  const char* const* keywords; /* of their PNG, [text_count]: how they were chosen */
  const char* const* texts;
} jaxgan_sample_view;

/* Reads options for a generator of some latent size and classes. `names` are those of the classes, as
 * the metadata "class_names" has them; null where they have numbers alone. */
JAXGAN_API jaxgan_status jaxgan_choose(const jaxgan_sampling* sampling, size_t latent_size,
                                       int32_t classes, const char* names, jaxgan_sample** sample,
                                       jaxgan_error* error);
JAXGAN_API jaxgan_sample_view jaxgan_view(const jaxgan_sample* sample);
JAXGAN_API void jaxgan_free(jaxgan_sample* sample); /* null: nothing */
/* Draws a sample as levels, uint8 [count, height, width, channels]. */
JAXGAN_API jaxgan_status jaxgan_draw_sample(jaxgan_generator* generator,
                                            const jaxgan_sample* sample, uint8_t* levels,
                                            jaxgan_error* error);

/* The class that a person means: by its name, with another case where that is one class alone, or by
 * its number. */
JAXGAN_API jaxgan_status jaxgan_find_class(const char* text, int32_t classes, const char* names,
                                           int32_t* label, jaxgan_error* error);

#ifdef __cplusplus
}
#endif

#endif
