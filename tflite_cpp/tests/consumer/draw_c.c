/* draw_c MODEL SEED COUNT: writes the pixels of images to stdout, bytes [COUNT, H, W, C], every class in
 * turn. A small program that uses the library from C; the README shows it. */
#include <jaxgan/c.h>
#include <stdio.h>
#include <stdlib.h>

/* Goes on where a call went well. */
static void check(jaxgan_status status, const jaxgan_error* error) {
  if (status == JAXGAN_OK) return;
  fprintf(stderr, "error: %s\n", error->message);
  exit(status);
}

int main(int argc, char** argv) {
  if (argc != 4) return JAXGAN_USAGE;
  jaxgan_error error;
  jaxgan_generator* generator = NULL;
  check(jaxgan_open(argv[1], NULL, &generator, &error), &error);
  const jaxgan_info info = jaxgan_describe(generator);

  const jaxgan_sampling sampling = {.seed = argv[2], .count = argv[3]};
  jaxgan_sample* sample = NULL;
  const char* const names = jaxgan_metadata(generator, "class_names", NULL);
  check(jaxgan_choose(&sampling, (size_t)info.latent_size, info.classes, names, &sample, &error),
        &error);

  const size_t pixels = (size_t)info.height * (size_t)info.width * (size_t)info.channels;
  const size_t bytes = jaxgan_view(sample).count * pixels;
  uint8_t* const levels = malloc(bytes);
  if (levels == NULL) return JAXGAN_OUTPUT;
  check(jaxgan_draw_sample(generator, sample, levels, &error), &error);
  const size_t written = fwrite(levels, 1, bytes, stdout);
  free(levels);
  jaxgan_free(sample);
  jaxgan_close(generator);
  return written == bytes && fflush(stdout) == 0 ? JAXGAN_OK : JAXGAN_OUTPUT;
}
