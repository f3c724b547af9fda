// Tries many damaged copies of some files in this process:
//   mutants [--seed S] [--from I] [--count N] [--findings FOLDER] [--write FOLDER] FILE...
// FILE is a sound .tflite, .npy or .png, all of one kind. A worker process tries one mutant after
// another; where it dies, the mutant is kept in FOLDER and a new worker goes on behind it. Prints
// how many ended with which exit code, and ends with 1 if any crashed, took more than 10 s, lost
// memory, or ended with a code that the program's documentation does not name. With --write, they
// are only written: models that pass the check of verify.h to FOLDER/sound, others to
// FOLDER/refused.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "mutate.h"
#include "verify.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define JAXGAN_LEAKS __lsan_do_recoverable_leak_check()
#else
#define JAXGAN_LEAKS 0
#endif

// A hostile file may ask for more memory than there is: fail as malloc does, do not abort.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

namespace {

using namespace jaxgan::fuzz;

constexpr unsigned kMaxSeconds = 10;
constexpr std::size_t kLeakCheckEvery = 250, kMaxKinds = 16, kMaxFindings = 50;
constexpr int kLeaked = 77;

struct Options {
  std::uint64_t seed = 0;
  std::size_t from = 0, count = 1000;
  std::filesystem::path findings = "findings", write;
  std::vector<std::string> files;
};

// What the worker leaves behind, whatever happens to it.
struct Progress {
  std::size_t next = 0;  // mutant that is, or will be, tried
  std::array<std::array<std::size_t, 6>, kMaxKinds> counts{};  // by mutation and exit code
  std::size_t slowest = 0;  // mutant
  double slowest_seconds = 0.0;
};

class Trial {
 public:
  explicit Trial(const Options& options)
      : options_(options), kind_(std::filesystem::path(options.files.at(0)).extension().string()) {
    kind_.erase(0, 1);
    for (const std::string& name : options.files) {
      std::ifstream file(name, std::ios::binary);
      files_.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
      if (files_.back().empty()) throw std::runtime_error("cannot read " + name);
    }
    mutations_ = mutations(kind_);
    void* const shared = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::runtime_error("no memory to share");
    progress_ = new (shared) Progress{};
  }

  int run() {
    progress_->next = options_.from;
    const std::size_t end = options_.from + options_.count;
    if (!options_.write.empty()) {
      for (std::size_t i = options_.from; i < end; ++i) {
        keep(i, options_.write / (kind_ != "tflite" || verified(mutant(i)) ? "sound" : "refused"));
      }
      return 0;
    }
    for (const Bytes& file : files_) {
      if (attempt(file) != 0) throw std::runtime_error("a file is refused as it is");
    }
    while (progress_->next < end && findings_ < kMaxFindings) {
      const std::size_t start = progress_->next;
      std::fflush(nullptr);
      const pid_t worker = fork();
      if (worker == 0) work(end);
      int status = 0;
      waitpid(worker, &status, 0);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
      judge(status, start);
    }
    report();
    return findings_ == 0 ? 0 : 1;
  }

 private:
  Bytes mutant(std::size_t index) const {
    std::seed_seq seed{options_.seed, static_cast<std::uint64_t>(index)};
    Random random(seed);
    const Bytes& file = files_[index / mutations_.size() % files_.size()];
    return mutations_[index % mutations_.size()].make(file, files_, random);
  }

  static bool verified(const Bytes& content) {
    const auto* const bytes = reinterpret_cast<const char*>(content.data());
    return exit_code([&] { jaxgan::verify(bytes, content.size(), "mutant"); }) == 0;
  }

  std::filesystem::path keep(std::size_t index, const std::filesystem::path& folder) const {
    const Bytes content = mutant(index);
    std::filesystem::create_directories(folder);
    const auto path = folder / (std::to_string(index) + "." + kind_);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()),
               static_cast<std::streamsize>(content.size()));
    return path;
  }

  int attempt(const Bytes& content) const {
    return kind_ == "tflite" ? try_tflite(content)
           : kind_ == "npy"  ? try_npy(content)
                             : try_png(content);
  }

  // Done, no memory, or what the README has for a wrong model or option.
  bool documented(int code) const {
    return code == 0 || code == 5 || code == (kind_ == "tflite" ? 3 : 2);
  }

  [[noreturn]] void work(std::size_t end) {
    std::signal(SIGALRM, SIG_DFL);
    for (std::size_t i = progress_->next; i < end; ++i) {
      const Bytes content = mutant(i);
      alarm(kMaxSeconds);
      const auto start = std::chrono::steady_clock::now();
      const int code = attempt(content);
      const double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      alarm(0);
      if (seconds > progress_->slowest_seconds) {
        progress_->slowest_seconds = seconds;
        progress_->slowest = i;
      }
      ++progress_->counts[i % mutations_.size()][static_cast<std::size_t>(std::min(code, 5))];
      if (!documented(code)) std::_Exit(code);
      progress_->next = i + 1;
      if ((i + 1) % kLeakCheckEvery == 0 && JAXGAN_LEAKS != 0) std::_Exit(kLeaked);
    }
    std::_Exit(JAXGAN_LEAKS != 0 ? kLeaked : 0);
  }

  void judge(int status, std::size_t start) {
    ++findings_;
    const std::size_t at = progress_->next;
    if (WIFEXITED(status) && WEXITSTATUS(status) == kLeaked) {
      std::printf("mutants %zu to %zu: memory was lost\n", start, at - 1);
      return;
    }
    const std::filesystem::path path = keep(at, options_.findings);
    const bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    const int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    std::printf("mutant %zu, %s: %s %d; kept as %s\n", at,
                mutations_[at % mutations_.size()].name.c_str(),
                late ? "too slow, signal" : WIFSIGNALED(status) ? "signal" : "exit code", number,
                path.c_str());
    progress_->next = at + 1;
  }

  void report() const {
    std::printf("%-32s %8s %8s %8s %8s %8s\n", kind_.c_str(), "0", "2", "3", "5", "other");
    std::array<std::size_t, 6> sums{};
    const auto line = [](const std::string& name, const std::array<std::size_t, 6>& counts) {
      std::printf("%-32s %8zu %8zu %8zu %8zu %8zu\n", name.c_str(), counts[0], counts[2], counts[3],
                  counts[5], counts[1] + counts[4]);
    };
    for (std::size_t kind = 0; kind < mutations_.size(); ++kind) {
      line(mutations_[kind].name, progress_->counts[kind]);
      for (std::size_t code = 0; code < sums.size(); ++code) {
        sums[code] += progress_->counts[kind][code];
      }
    }
    line("all", sums);
    std::printf("%zu findings; the slowest, %zu, took %.3f s\n", findings_, progress_->slowest,
                progress_->slowest_seconds);
  }

  const Options& options_;
  std::string kind_;
  std::vector<Bytes> files_;
  std::vector<Mutation> mutations_;
  Progress* progress_ = nullptr;
  std::size_t findings_ = 0;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.rfind("--", 0) != 0) {
      options.files.push_back(word);
      continue;
    }
    if (++i == argc) throw std::runtime_error(word + ": expected a value");
    if (word == "--seed") options.seed = std::stoull(argv[i]);
    else if (word == "--from") options.from = std::stoul(argv[i]);
    else if (word == "--count") options.count = std::stoul(argv[i]);
    else if (word == "--findings") options.findings = argv[i];
    else if (word == "--write") options.write = argv[i];
    else throw std::runtime_error("unknown option " + word);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) try {
  const Options options = parse(argc, argv);
  return Trial(options).run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s; expected sound .tflite, .npy or .png files\n", error.what());
  return 2;
}
