# LiteRT's shared library: named by the user, or the one in the active Python's ai-edge-litert. It is
# loaded at run time, so nothing is linked; it is copied beside the program and installed with it.
# Without a program none is needed here: who uses the library brings one, or says where it is.
set(LITERT_LIBRARY "" CACHE FILEPATH "LiteRT's shared library, 2.1.6 or newer")
set(litert_file "libLiteRt${CMAKE_SHARED_LIBRARY_SUFFIX}")
if(NOT EXISTS "${LITERT_LIBRARY}" AND NOT JAXGAN_PYTHON)
  find_program(active_python NAMES python3 python NO_CACHE)
  execute_process(
    COMMAND ${active_python} -c
      "import importlib.util as u; print(u.find_spec('ai_edge_litert').submodule_search_locations[0])"
    OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(EXISTS "${folder}/${litert_file}")
    set(LITERT_LIBRARY "${folder}/${litert_file}" CACHE FILEPATH "" FORCE)
  endif()
endif()
if(NOT EXISTS "${LITERT_LIBRARY}" AND JAXGAN_PROGRAM)
  message(FATAL_ERROR
    "No LiteRT runtime library. Activate a Python that has it (pip install ai-edge-litert) "
    "or give its file: -DLITERT_LIBRARY=/path/to/libLiteRt.so")
endif()

target_sources(jaxgan-generator PRIVATE src/litert.cc)
if(EXISTS "${LITERT_LIBRARY}" AND NOT JAXGAN_PYTHON)
  message(STATUS "LiteRT runtime: ${LITERT_LIBRARY}")
  cmake_path(GET LITERT_LIBRARY FILENAME litert_file)
  add_custom_command(OUTPUT "${litert_file}"
    COMMAND ${CMAKE_COMMAND} -E copy "${LITERT_LIBRARY}" "${litert_file}"
    DEPENDS "${LITERT_LIBRARY}" VERBATIM)
  add_custom_target(jaxgan-runtime DEPENDS "${litert_file}")
  add_dependencies(jaxgan-generator jaxgan-runtime)
  if(JAXGAN_INSTALL)
    install(FILES "${LITERT_LIBRARY}" DESTINATION
      $<IF:$<BOOL:${WIN32}>,${CMAKE_INSTALL_BINDIR},${CMAKE_INSTALL_LIBDIR}>)
  endif()
else()
  message(STATUS "LiteRT runtime: none here; ${litert_file} is looked for when a model is opened")
endif()
target_compile_definitions(jaxgan-generator PRIVATE JAXGAN_LITERT_FILE="${litert_file}")
if(NOT WIN32)  # so that a program that links jaxgan::generator finds the runtime
  target_link_options(jaxgan-generator INTERFACE
    "$<INSTALL_INTERFACE:LINKER:-rpath,$<INSTALL_PREFIX>/${CMAKE_INSTALL_LIBDIR}>")
  if(NOT PROJECT_IS_TOP_LEVEL)
    target_link_options(jaxgan-generator INTERFACE
      "$<BUILD_INTERFACE:LINKER:-rpath,${CMAKE_CURRENT_BINARY_DIR}>")
  endif()
  set(jaxgan_pc_libs "-Wl,-rpath,\${libdir}")
endif()
