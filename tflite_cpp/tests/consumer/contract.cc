// contract MODEL PLAIN_MODEL THROWING_RUNTIME: holds the library to what its headers promise of
// threads, errors and moved objects. MODEL has classes, PLAIN_MODEL none; THROWING_RUNTIME is a
// library whose every function throws std::length_error.
#include <jaxgan/generator.h>
#include <jaxgan/latents.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>
#include <type_traits>

namespace {

using namespace jaxgan;

int failed = 0;

void check(bool good, const char* what, int line) {
  if (good) return;
  std::cerr << "contract.cc:" << line << ": " << what << "\n";
  ++failed;
}
#define CHECK(condition) check(condition, #condition, __LINE__)

// Whether a Fault is thrown whose message is one line and has some words in it.
template <typename Fault, typename Work>
bool throws(const std::string& words, Work&& work) try {
  work();
  std::cerr << "nothing was thrown; expected: " << words << "\n";
  return false;
} catch (const Fault& error) {
  const std::string what = error.what();
  if (what.find(words) != std::string::npos && what.find('\n') == std::string::npos) return true;
  std::cerr << "thrown: " << what << "; expected: " << words << "\n";
  return false;
}

static_assert(!std::is_copy_constructible_v<Generator> && !std::is_copy_assignable_v<Generator>);
static_assert(std::is_nothrow_move_constructible_v<Generator>);
static_assert(std::is_nothrow_move_assignable_v<Generator>);
static_assert(std::is_base_of_v<std::runtime_error, Error>);

// 67 images: a batch of 64 and three of one.
std::vector<float> images_of(Generator& generator, std::uint32_t seed) {
  constexpr std::uint32_t kCount = 67;
  const std::size_t size = generator.latent_size();
  std::vector<float> latents(kCount * size);
  std::vector<std::int32_t> labels;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    latent(seed, i, size, latents.data() + i * size);
    if (generator.classes() != 0) {
      labels.push_back(static_cast<std::int32_t>(i) % generator.classes());
    }
  }
  return generator.draw(latents, labels);
}

void threads_draw_the_same_bits_as_one(const std::string& model) {
  constexpr std::uint32_t kSeeds[] = {0, 0, 1, 2};
  std::vector<std::vector<float>> alone, together(std::size(kSeeds));
  Generator generator(model);
  for (const std::uint32_t seed : kSeeds) alone.push_back(images_of(generator, seed));
  CHECK(alone[0] == alone[1]);
  CHECK(alone[0] != alone[2]);

  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < std::size(kSeeds); ++i) {
    threads.emplace_back([&, i] {
      // Generators come and go in one thread while the others draw.
      for (int round = 0; round < 3; ++round) {
        GeneratorOptions options;
        options.threads = i == 3 ? 2 : 1;
        Generator own(model, options);
        const std::vector<float> images = images_of(own, kSeeds[i]);
        if (round == 0) together[i] = images;
        if (images != together[i]) together[i].clear();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < 3; ++i) CHECK(together[i] == alone[i]);
  // The runtime may add in another order with more threads than one.
  CHECK(together[3].size() == alone[3].size());
  for (std::size_t i = 0; i < together[3].size(); ++i) {
    CHECK(std::abs(together[3][i] - alone[3][i]) < 1e-5f);
  }
}

void const_functions_may_be_called_from_several_threads(const std::string& model) {
  const Generator generator(model);
  const std::optional<std::string> dataset = generator.metadata("dataset");
  std::vector<std::thread> threads;
  std::vector<int> good(4);
  for (std::size_t i = 0; i < good.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 100; ++round) {
        good[i] += generator.metadata("dataset") == dataset && !generator.metadata("no such entry");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == std::vector<int>(4, 100));
}

void wrong_arguments_are_refused(const std::string& model, const std::string& plain) {
  Generator generator(model), unlabelled(plain);
  const std::vector<float> before = images_of(generator, 7);
  const std::vector<float> plain_before = images_of(unlabelled, 7);
  const std::size_t size = generator.latent_size();
  std::vector<float> latents(2 * size, 0.5f), images(2 * generator.image_shape().size(), 9.0f);
  const std::vector<float> untouched = images;
  const auto draw = [&](Generator& with, const std::int32_t* labels) {
    with.draw(latents.data(), labels, 2, images.data());
  };
  for (const std::int32_t wrong : {-1, generator.classes(), INT32_MIN, INT32_MAX}) {
    const std::int32_t labels[] = {0, wrong};
    CHECK(throws<UsageError>(std::to_string(wrong), [&] { draw(generator, labels); }));
    CHECK(throws<UsageError>("labels from 0 to", [&] { draw(generator, labels); }));
  }
  const std::int32_t zeros[] = {0, 0};
  CHECK(throws<UsageError>("got none", [&] { draw(generator, nullptr); }));
  CHECK(throws<UsageError>("no labels", [&] { draw(unlabelled, zeros); }));
  CHECK(images == untouched);

  CHECK(throws<UsageError>("numbers and a label", [&] { generator.draw(latents, {0}); }));
  CHECK(throws<UsageError>("numbers and a label", [&] { generator.draw(latents); }));
  CHECK(throws<UsageError>("labels from 0 to", [&] { generator.draw(latents, {0, -1}); }));
  CHECK(throws<UsageError>("and no label", [&] { unlabelled.draw(latents, {0, 0}); }));
  latents.pop_back();
  CHECK(throws<UsageError>("numbers and a label", [&] { generator.draw(latents, {0, 0}); }));
  CHECK(throws<UsageError>("and no label", [&] { unlabelled.draw(latents); }));
  CHECK(generator.draw({}).empty() && unlabelled.draw({}).empty());

  for (const int threads : {0, -1, 1025}) {
    GeneratorOptions options;
    options.threads = threads;
    CHECK(throws<UsageError>(std::to_string(threads), [&] { Generator(model, options); }));
  }
  // As if nothing had been wrong.
  CHECK(images_of(generator, 7) == before);
  CHECK(images_of(unlabelled, 7) == plain_before);
}

void between_classes(const std::string& model, const std::string& plain) {
  Generator generator(model), unlabelled(plain);
  std::vector<float> latents(generator.latent_size(), 0.5f), image(generator.image_shape().size());
  const auto between = [&](Generator& with, std::int32_t label, std::int32_t target_label,
                           float weight) {
    with.draw_between(latents.data(), &label, &target_label, &weight, 1, image.data());
  };
  CHECK(throws<ModelError>("between_1", [&] { between(unlabelled, 0, 0, 0.5f); }));
  for (const float weight : {-0.1f, 1.1f, std::nanf("")}) {
    CHECK(throws<UsageError>("0 to 1", [&] { between(generator, 0, 1, weight); }));
  }
  CHECK(throws<UsageError>("labels", [&] { between(generator, -1, 0, 0.5f); }));
  CHECK(throws<UsageError>("labels", [&] { between(generator, 0, 10, 0.5f); }));
  for (const std::int32_t label : {0, 3}) {  // the ends of the way are the classes themselves
    between(generator, 0, 3, label == 0 ? 0.0f : 1.0f);
    const std::vector<float> expected = generator.draw(latents, {label});
    for (std::size_t i = 0; i < image.size(); ++i) CHECK(std::abs(image[i] - expected[i]) < 1e-4f);
  }
}

void wrong_files_are_refused(const std::string& model, const std::string& throwing_runtime) {
  CHECK(throws<ModelError>("No such file", [] { Generator("no/such/file.tflite"); }));
  CHECK(throws<ModelError>("hundred", [] { Generator(std::vector<char>(100, 'x'), "hundred"); }));
  CHECK(throws<ModelError>("nothing", [] { Generator({}, "nothing"); }));

  GeneratorOptions options;
  options.runtime = "no/such/runtime.so";
  CHECK(throws<RuntimeError>("no/such/runtime.so", [&] { Generator(model, options); }));
  CHECK(throws<RuntimeError>("no/such/runtime.so", [&] { runtime_description(options); }));
  options.runtime = throwing_runtime;
  CHECK(throws<ModelError>("thrown by the runtime", [&] { Generator(model, options); }));
  CHECK(throws<RuntimeError>("thrown by the runtime", [&] { runtime_description(options); }));
  options.runtime.clear();
  CHECK(!runtime_description(options).empty());
}

void a_file_in_memory_is_as_good(const std::string& model) {
  std::ifstream file(model, std::ios::binary);
  const std::vector<char> content{std::istreambuf_iterator<char>(file), {}};
  Generator from_memory(content, "memory"), from_file(model);
  CHECK(from_memory.content() == content);
  CHECK(from_file.content() == content);
  CHECK(images_of(from_memory, 1) == images_of(from_file, 1));
}

void a_generator_can_be_moved(const std::string& model, const std::string& plain) {
  Generator first(model);
  const std::vector<float> expected = images_of(first, 5);
  Generator second(std::move(first));
  CHECK(images_of(second, 5) == expected);
  Generator third(plain);
  third = std::move(second);  // what it held is given back
  CHECK(images_of(third, 5) == expected);
  first = std::move(third);  // one that was moved from may be assigned to
  CHECK(images_of(first, 5) == expected);
  std::vector<Generator> many;
  many.push_back(std::move(first));
  many.emplace_back(model);
  CHECK(images_of(many[0], 5) == expected);
  CHECK(images_of(many[1], 5) == expected);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) throw UsageError("expected MODEL PLAIN_MODEL THROWING_RUNTIME");
  const std::string model = argv[1], plain = argv[2], throwing_runtime = argv[3];
  threads_draw_the_same_bits_as_one(model);
  const_functions_may_be_called_from_several_threads(model);
  wrong_arguments_are_refused(model, plain);
  between_classes(model, plain);
  wrong_files_are_refused(model, throwing_runtime);
  a_file_in_memory_is_as_good(model);
  a_generator_can_be_moved(model, plain);
  if (failed == 0) std::cout << "the contract holds\n";
  return failed == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
