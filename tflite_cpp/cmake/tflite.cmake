# Classic TensorFlow Lite: of the system or of Conan, in a folder, or built along with this from
# TensorFlow's source tree. It is linked, and an installed jaxgan package asks for it again.
set(TFLITE_ROOT "" CACHE PATH
  "TensorFlow's source tree, or a folder with TensorFlow Lite's include/ and lib/")
if(EXISTS "${TFLITE_ROOT}/tensorflow/lite/CMakeLists.txt")
  get_directory_property(warnings COMPILE_OPTIONS)  # are not for its code
  set_directory_properties(PROPERTIES COMPILE_OPTIONS "")
  add_subdirectory("${TFLITE_ROOT}/tensorflow/lite" tensorflow-lite EXCLUDE_FROM_ALL)
  set_directory_properties(PROPERTIES COMPILE_OPTIONS "${warnings}")
endif()
list(PREPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}")
find_package(TensorFlowLite)
if(NOT TensorFlowLite_FOUND)
  message(FATAL_ERROR
    "No TensorFlow Lite. Install it (Debian 14 and sid: libtensorflow-lite-dev; Conan: "
    "tensorflow-lite), or say where it is: -DTFLITE_ROOT=DIR, TensorFlow's source tree or a folder "
    "with include/ and lib/. LiteRT needs none of it: -DJAXGAN_RUNTIME=litert")
endif()
message(STATUS "TensorFlow Lite: ${TensorFlowLite_TARGET}")

target_sources(jaxgan-generator PRIVATE src/tflite.cc)
target_link_libraries(jaxgan-generator PRIVATE TensorFlowLite::TensorFlowLite)
# Programs find the library where the build found it.
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
set_target_properties(jaxgan-generator PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)

if(JAXGAN_INSTALL)
  install(FILES "${CMAKE_CURRENT_LIST_DIR}/FindTensorFlowLite.cmake"
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/jaxgan)
endif()
set(jaxgan_dependencies "include(CMakeFindDependencyMacro)
if(NOT TFLITE_ROOT)
  set(TFLITE_ROOT \"${TFLITE_ROOT}\")
endif()
list(PREPEND CMAKE_MODULE_PATH \"\${CMAKE_CURRENT_LIST_DIR}\")
find_dependency(TensorFlowLite)")
if(TensorFlowLite_PC_FOUND)
  list(JOIN TensorFlowLite_PC_LDFLAGS " " jaxgan_pc_libs)
elseif(TensorFlowLite_LIBRARY)
  set(jaxgan_pc_libs "${TensorFlowLite_LIBRARY}")
else()
  set(jaxgan_pc_libs "-ltensorflow-lite")
endif()
