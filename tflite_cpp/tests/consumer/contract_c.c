/* contract_c MODEL PLAIN_MODEL THROWING_RUNTIME: holds the C interface to what c.h promises, as
 * contract.cc holds the library to its headers. Plain C11. */
#include <jaxgan/c.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed = 0;

static void check(int good, const char* what, int line) {
  if (good) return;
  fprintf(stderr, "contract_c.c:%d: %s\n", line, what);
  ++failed;
}
#define CHECK(condition) check(condition, #condition, __LINE__)

/* Whether a call ended with a status and a message of one line that has some words in it. */
static int refused(jaxgan_status got, jaxgan_status expected, const jaxgan_error* error,
                   const char* words) {
  const int good = got == expected && strstr(error->message, words) != NULL &&
                   strchr(error->message, '\n') == NULL;
  if (!good) fprintf(stderr, "status %d, '%s'; expected: %s\n", got, error->message, words);
  return good;
}

static void* memory(size_t size) {
  void* const found = calloc(size, 1);
  if (found == NULL) exit(5);
  return found;
}

static jaxgan_generator* opened(const char* path) {
  jaxgan_generator* generator = NULL;
  jaxgan_error error;
  if (jaxgan_open(path, NULL, &generator, &error) == JAXGAN_OK) return generator;
  fprintf(stderr, "error: %s\n", error.message);
  exit(1);
}

static size_t pixels_of(const jaxgan_generator* generator) {
  const jaxgan_info info = jaxgan_describe(generator);
  return (size_t)info.height * (size_t)info.width * (size_t)info.channels;
}

/* The bytes of a file. */
static char* content_of(const char* path, size_t* size) {
  FILE* const file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) exit(5);
  *size = (size_t)ftell(file);
  rewind(file);
  char* const content = memory(*size);
  if (fread(content, 1, *size, file) != *size) exit(5);
  fclose(file);
  return content;
}

static void a_generator_is_described(const char* model, const char* plain) {
  jaxgan_generator* const generator = opened(model);
  const jaxgan_info info = jaxgan_describe(generator);
  CHECK(info.height >= 1 && info.width >= 1 && info.channels >= 1 && info.channels <= 4);
  CHECK(info.latent_size >= 1 && info.classes >= 1 && info.bytes > 0);
  CHECK(info.load_seconds > 0 && info.compile_seconds >= 0);

  size_t count = 0, size = 0;
  const jaxgan_signature* const signatures = jaxgan_signatures(generator, &count);
  int between = 0;
  for (size_t i = 0; i < count; ++i) {
    CHECK(signatures[i].output_count == 1 && signatures[i].outputs[0].rank == 4);
    CHECK(strcmp(signatures[i].outputs[0].type, "float32") == 0);
    CHECK(signatures[i].outputs[0].dimensions[1] == info.height);
    if (strcmp(signatures[i].name, "between_1") == 0) between = (int)signatures[i].input_count;
  }
  CHECK(count >= 2 && between == 4);

  const char* const classes = jaxgan_metadata(generator, "classes", &size);
  CHECK(classes != NULL && size == strlen(classes) && atoi(classes) == info.classes);
  CHECK(jaxgan_metadata(generator, "dataset", NULL) != NULL);
  CHECK(jaxgan_metadata(generator, "classes", NULL) == classes); /* stays where it is */
  CHECK(jaxgan_metadata(generator, "no such entry", &size) == NULL && size == 0);
  CHECK(jaxgan_metadata(generator, NULL, NULL) == NULL);
  CHECK(strspn(jaxgan_sha256(generator), "0123456789abcdef") == 64);
  jaxgan_close(generator);

  jaxgan_generator* const unlabelled = opened(plain);
  CHECK(jaxgan_describe(unlabelled).classes == 0);
  jaxgan_close(unlabelled);
  jaxgan_close(NULL);
}

static void wrong_files_are_refused(const char* model, const char* throwing_runtime) {
  jaxgan_error error;
  jaxgan_generator* generator = (jaxgan_generator*)&error; /* is set to null */
  CHECK(refused(jaxgan_open("no/such/file", NULL, &generator, &error), JAXGAN_MODEL, &error,
                "No such file"));
  CHECK(generator == NULL);
  CHECK(jaxgan_open("no/such/file", NULL, &generator, NULL) == JAXGAN_MODEL);
  CHECK(refused(jaxgan_open(NULL, NULL, &generator, &error), JAXGAN_USAGE, &error, "got null"));
  CHECK(refused(jaxgan_open(model, NULL, NULL, &error), JAXGAN_USAGE, &error, "got null"));
  CHECK(refused(jaxgan_open_content("no model", 8, "eight", NULL, &generator, &error),
                JAXGAN_MODEL, &error, "eight"));
  CHECK(refused(jaxgan_open_content(NULL, 0, NULL, NULL, &generator, &error), JAXGAN_MODEL, &error,
                "the model"));
  CHECK(refused(jaxgan_verify("no model", 8, "ei\nght", &error), JAXGAN_MODEL, &error, "ei?ght"));

  char name[3001]; /* "é" as often as it fits: a message is cut between two of them */
  for (size_t i = 0; i < 3000; i += 2) memcpy(name + i, "\xc3\xa9", 2);
  name[3000] = '\0';
  CHECK(jaxgan_verify("no model", 8, name, &error) == JAXGAN_MODEL);
  CHECK(strlen(error.message) == 1022 && error.message[1021] == '\xa9');

  jaxgan_options options = {1, 0, "no/such/runtime.so"};
  char text[1000];
  CHECK(refused(jaxgan_open(model, &options, &generator, &error), JAXGAN_RUNTIME, &error,
                "no/such/runtime.so"));
  CHECK(refused(jaxgan_runtime(&options, text, sizeof text, &error), JAXGAN_RUNTIME, &error,
                "no/such/runtime.so"));
  options.runtime = throwing_runtime;
  CHECK(refused(jaxgan_open(model, &options, &generator, &error), JAXGAN_MODEL, &error,
                "thrown by the runtime"));
  options.runtime = "";
  options.threads = 1025;
  CHECK(refused(jaxgan_open(model, &options, &generator, &error), JAXGAN_USAGE, &error,
                "1 to 1024"));
  options.threads = 1;
  CHECK(jaxgan_runtime(&options, text, sizeof text, &error) == JAXGAN_OK && strlen(text) > 0);
  CHECK(refused(jaxgan_runtime(NULL, text, 3, &error), JAXGAN_USAGE, &error, "room for"));
}

static void a_file_in_memory_is_as_good(const char* model) {
  size_t size = 0;
  char* const content = content_of(model, &size);
  jaxgan_generator* generator = NULL;
  jaxgan_generator* const other = opened(model);
  CHECK(jaxgan_verify(content, size, "memory", NULL) == JAXGAN_OK);
  CHECK(jaxgan_open_content(content, size, "memory", NULL, &generator, NULL) == JAXGAN_OK);
  memset(content, 0, size); /* it has a copy */
  free(content);
  CHECK(jaxgan_describe(generator).bytes == size);
  CHECK(strcmp(jaxgan_sha256(generator), jaxgan_sha256(other)) == 0);
  jaxgan_close(generator);
  jaxgan_close(other);
}

/* Five images of seed 7 in both ways: by options, and from latents and labels. */
static void a_sample_is_what_its_parts_draw(const char* path) {
  jaxgan_generator* const generator = opened(path);
  const jaxgan_info info = jaxgan_describe(generator);
  const size_t length = (size_t)info.latent_size, pixels = pixels_of(generator);
  jaxgan_sampling sampling = {0};
  sampling.seed = "7";
  sampling.count = "5";
  jaxgan_sample* sample = NULL;
  jaxgan_error error;
  CHECK(jaxgan_choose(&sampling, length, info.classes, NULL, &sample, &error) == JAXGAN_OK);
  const jaxgan_sample_view view = jaxgan_view(sample);
  CHECK(view.count == 5 && view.columns == 10);
  CHECK((view.labels == NULL) == (info.classes == 0));
  CHECK((view.weights == NULL) == (info.classes == 0));
  CHECK(view.text_count == (info.classes == 0 ? 1u : 2u));
  CHECK(strcmp(view.keywords[0], "jaxgan.latents") == 0);
  CHECK(strcmp(view.texts[0], "seed 7, images 0-4") == 0);

  const uint32_t seeds[] = {7, 7, 7, 7, 7}, indices[] = {0, 1, 2, 3, 4};
  float* const latents = memory(5 * length * sizeof(float));
  jaxgan_latents(seeds, indices, 5, length, 0.0, latents);
  CHECK(memcmp(latents, view.latents, 5 * length * sizeof(float)) == 0);

  float* const images = memory(5 * pixels * sizeof(float));
  uint8_t* const levels = memory(5 * pixels);
  uint8_t* const expected = memory(5 * pixels);
  CHECK(jaxgan_draw(generator, latents, view.labels, 5, images, &error) == JAXGAN_OK);
  jaxgan_to_levels(images, 5 * pixels / (size_t)info.channels, (size_t)info.channels, expected);
  CHECK(jaxgan_draw_sample(generator, sample, levels, &error) == JAXGAN_OK);
  CHECK(memcmp(levels, expected, 5 * pixels) == 0);

  jaxgan_free(sample);
  CHECK(jaxgan_choose(&sampling, length + 1, info.classes, NULL, &sample, &error) == JAXGAN_OK);
  CHECK(refused(jaxgan_draw_sample(generator, sample, levels, &error), JAXGAN_USAGE, &error,
                "another model"));
  jaxgan_free(sample);
  jaxgan_free(NULL);
  free(latents);
  free(images);
  free(levels);
  free(expected);
  jaxgan_close(generator);
}

static void drawing_between_classes(const char* model, const char* plain) {
  jaxgan_generator* const generator = opened(model);
  jaxgan_generator* const unlabelled = opened(plain);
  const size_t length = (size_t)jaxgan_describe(generator).latent_size;
  const size_t pixels = pixels_of(generator);
  float* const latents = memory(2 * length * sizeof(float));
  float* const images = memory(2 * pixels * sizeof(float));
  float* const expected = memory(2 * pixels * sizeof(float));
  const uint32_t seeds[] = {1, 1}, indices[] = {0, 0};
  jaxgan_latents(seeds, indices, 2, length, 0.7, latents);
  const int32_t labels[] = {0, 0}, target_labels[] = {3, 3}, ends[] = {0, 3};
  const float weights[] = {0, 1};
  jaxgan_error error;
  /* The ends of the way are the classes themselves. */
  CHECK(jaxgan_draw(generator, latents, ends, 2, expected, &error) == JAXGAN_OK);
  CHECK(jaxgan_draw_between(generator, latents, labels, target_labels, weights, 2, images,
                            &error) == JAXGAN_OK);
  for (size_t i = 0; i < 2 * pixels; ++i) {
    const float difference = images[i] - expected[i];
    CHECK(difference > -1e-4f && difference < 1e-4f);
  }

  memset(images, 0, 2 * pixels * sizeof(float));
  memset(expected, 0, 2 * pixels * sizeof(float));
  const float wrong[] = {0, 1.5f};
  const int32_t no_labels[] = {0, -1};
  CHECK(refused(jaxgan_draw_between(generator, latents, labels, target_labels, wrong, 2, images,
                                    &error), JAXGAN_USAGE, &error, "0 to 1"));
  CHECK(refused(jaxgan_draw_between(generator, latents, labels, no_labels, weights, 2, images,
                                    &error), JAXGAN_USAGE, &error, "-1"));
  CHECK(refused(jaxgan_draw_between(generator, latents, labels, NULL, weights, 2, images, &error),
                JAXGAN_USAGE, &error, "target labels, got null"));
  CHECK(refused(jaxgan_draw(generator, latents, no_labels, 2, images, &error), JAXGAN_USAGE,
                &error, "-1"));
  CHECK(refused(jaxgan_draw(generator, latents, NULL, 2, images, &error), JAXGAN_USAGE, &error,
                "got none"));
  CHECK(refused(jaxgan_draw(NULL, latents, NULL, 2, images, &error), JAXGAN_USAGE, &error,
                "a generator, got null"));
  CHECK(memcmp(images, expected, 2 * pixels * sizeof(float)) == 0); /* nothing was drawn */
  CHECK(refused(jaxgan_draw_between(unlabelled, latents, labels, target_labels, weights, 2, images,
                                    &error), JAXGAN_MODEL, &error, "between_1"));
  free(latents);
  free(images);
  free(expected);
  jaxgan_close(generator);
  jaxgan_close(unlabelled);
}

/* Whether options are refused for some words. */
static int choosing_fails(jaxgan_sampling sampling, const char* words) {
  jaxgan_sample* sample = NULL;
  jaxgan_error error;
  const jaxgan_status status = jaxgan_choose(&sampling, 8, 10, NULL, &sample, &error);
  return refused(status, JAXGAN_USAGE, &error, words) && sample == NULL;
}

static void options_are_read_as_the_program_reads_them(void) {
  const char* const wrong[] = {"", "-1", "+5", "0x10", "1_000", "1.5", " 5", "5 ", "many",
                               "99999999999999999999", "4294967296"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    CHECK(choosing_fails((jaxgan_sampling){.seed = wrong[i]}, "--seed: expected 0 to 4294967295"));
    CHECK(choosing_fails((jaxgan_sampling){.count = wrong[i]}, "--count: expected 1 to 1000000"));
    CHECK(choosing_fails((jaxgan_sampling){.interpolate = wrong[i]},
                         "--interpolate: expected 2 to 1000"));
  }
  CHECK(choosing_fails((jaxgan_sampling){.count = "0"}, "--count: expected 1 to 1000000, got 0"));
  CHECK(choosing_fails((jaxgan_sampling){.interpolate = "1"}, "expected 2 to 1000, got 1"));
  CHECK(choosing_fails((jaxgan_sampling){.seeds = "1-"}, "--seeds: expected"));
  CHECK(choosing_fails((jaxgan_sampling){.label = "10"}, "--label: expected classes from 0 to 9"));
  CHECK(choosing_fails((jaxgan_sampling){.truncation = "1e0"}, "--truncation: expected"));
  CHECK(choosing_fails((jaxgan_sampling){.latents = "no/such.npy"}, "--latents: cannot read"));
  CHECK(choosing_fails((jaxgan_sampling){.seeds = "1", .seed = "1"},
                       "--seeds and --seed are mutually exclusive; leave one out"));

  jaxgan_sample* sample = NULL;
  jaxgan_error error;
  CHECK(refused(jaxgan_choose(NULL, 0, 0, NULL, &sample, &error), JAXGAN_USAGE, &error, "latent size"));
  CHECK(refused(jaxgan_choose(NULL, 8, -1, NULL, &sample, &error), JAXGAN_USAGE, &error, "classes"));
  CHECK(jaxgan_choose(NULL, 8, 3, NULL, &sample, &error) == JAXGAN_OK); /* the program's defaults */
  CHECK(jaxgan_view(sample).count == 64 && jaxgan_view(sample).labels[63] == 0);
  jaxgan_free(sample);
  const jaxgan_sampling between = {.seeds = "1,2", .interpolate = "3", .label = "0,1"};
  CHECK(jaxgan_choose(&between, 8, 3, NULL, &sample, &error) == JAXGAN_OK);
  const jaxgan_sample_view view = jaxgan_view(sample);
  CHECK(view.count == 3 && view.columns == 3);
  CHECK(view.labels[1] == 0 && view.target_labels[1] == 1 && view.weights[1] == 0.5f);
  jaxgan_free(sample);
}

static void classes_are_found_by_name(void) {
  const char* const names = "cat\nDog\n0";
  jaxgan_sample* sample = NULL;
  jaxgan_error error;
  int32_t label = -1;
  CHECK(jaxgan_find_class("Dog", 3, names, &label, &error) == JAXGAN_OK && label == 1);
  CHECK(jaxgan_find_class("CAT", 3, names, &label, &error) == JAXGAN_OK && label == 0);
  CHECK(jaxgan_find_class("0", 3, names, &label, &error) == JAXGAN_OK && label == 2);
  CHECK(jaxgan_find_class("0", 3, NULL, &label, &error) == JAXGAN_OK && label == 0);
  CHECK(refused(jaxgan_find_class("dag", 3, names, &label, &error), JAXGAN_USAGE, &error,
                "did you mean 'Dog'?"));
  CHECK(refused(jaxgan_find_class("3", 3, NULL, &label, &error), JAXGAN_USAGE, &error, "0 to 2"));
  CHECK(refused(jaxgan_find_class("0", 0, NULL, &label, &error), JAXGAN_USAGE, &error, "no classes"));
  CHECK(refused(jaxgan_find_class(NULL, 3, names, &label, &error), JAXGAN_USAGE, &error, "null"));
  CHECK(refused(jaxgan_find_class("0", 3, names, NULL, &error), JAXGAN_USAGE, &error, "null"));
  const jaxgan_sampling sampling = {.label = "0,cat", .count = "2"};
  CHECK(jaxgan_choose(&sampling, 8, 3, names, &sample, &error) == JAXGAN_OK);
  const jaxgan_sample_view view = jaxgan_view(sample);
  CHECK(view.labels[0] == 2 && view.labels[1] == 0);
  CHECK(view.text_count == 2 && strcmp(view.texts[1], "0,cat") == 0);
  jaxgan_free(sample);
  CHECK(refused(jaxgan_choose(&sampling, 8, 2, names, &sample, &error), JAXGAN_USAGE, &error,
                "3 names of 2 classes"));
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  CHECK(jaxgan_c_version() == JAXGAN_C_VERSION);
  a_generator_is_described(argv[1], argv[2]);
  wrong_files_are_refused(argv[1], argv[3]);
  a_file_in_memory_is_as_good(argv[1]);
  a_sample_is_what_its_parts_draw(argv[1]);
  a_sample_is_what_its_parts_draw(argv[2]);
  drawing_between_classes(argv[1], argv[2]);
  options_are_read_as_the_program_reads_them();
  classes_are_found_by_name();
  if (failed == 0) printf("the contract holds\n");
  return failed == 0 ? 0 : 1;
}
