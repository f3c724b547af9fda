/* draw_c MODEL SEED COUNT: writes the pixels of images to stdout, bytes [COUNT, H, W, C], every class in
 * turn. A small program that uses the library from C. */
#include <jaxgan/c.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  jaxgan_error error = {"expected MODEL SEED COUNT"};
  jaxgan_generator* generator = NULL;
  jaxgan_sample* sample = NULL;
  uint8_t* levels = NULL;
  jaxgan_status status = argc == 4 ? JAXGAN_OK : JAXGAN_USAGE;
  if (status == JAXGAN_OK) status = jaxgan_open(argv[1], NULL, &generator, &error);
  if (status == JAXGAN_OK) {
    const jaxgan_info info = jaxgan_describe(generator);
    const jaxgan_sampling sampling = {.seed = argv[2], .count = argv[3]};
    status = jaxgan_choose(&sampling, (size_t)info.latent_size, info.classes, &sample, &error);
    if (status == JAXGAN_OK) {
      const size_t bytes = jaxgan_view(sample).count * (size_t)info.height * (size_t)info.width *
                           (size_t)info.channels;
      levels = malloc(bytes);
      if (levels == NULL) return JAXGAN_OUTPUT;
      status = jaxgan_draw_sample(generator, sample, levels, &error);
      if (status == JAXGAN_OK) fwrite(levels, 1, bytes, stdout);
    }
  }
  if (status != JAXGAN_OK) fprintf(stderr, "error: %s\n", error.message);
  free(levels);
  jaxgan_free(sample);
  jaxgan_close(generator);
  return status;
}
